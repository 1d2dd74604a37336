//! A journey's own cluster: started, filled, asked, and torn down; on failure its logs stay.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sandbox::app::echo::{Answer, Ask};
use sandbox::messages::PodStatus;
use sandbox::sandbox::{Output, Running};
use sandbox::{Options, PodName, Sandbox, Target};

use crate::app::ECHO;
use crate::app::client::{Seen, TALKING, Task};
use crate::expect::eventually;
use crate::mint::{Flaw, Minted, Signer, Wish};

/// Longest wait for a pod, an enrolment, a log line.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers sandboxes of this process, so that each journey has a name of its own.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running cluster.
pub struct World {
    /// The sandbox.
    pub sandbox: Sandbox,
    program: PathBuf,
}

/// A pod to be started.
#[derive(Clone, Debug)]
pub struct Pod<'a> {
    /// `namespace/name`.
    pub name: &'a str,
    /// Node.
    pub node: &'a str,
    /// Service account.
    pub account: &'a str,
    /// Labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// Arguments to this executable; `serve` is the journeys' server.
    pub arguments: &'a [&'a str],
}

/// A client that talks on; it ends when this is dropped.
pub struct Talk {
    running: Running,
    hush: PipeWriter,
    output: BufReader<PipeReader>,
}

impl Talk {
    /// Tells it to finish, and says what it saw.
    ///
    /// # Errors
    /// When it failed.
    pub fn finish(self) -> Result<Seen> {
        drop(self.hush);
        report(self.output, self.running)
    }

    /// Waits until somebody else ends it, and says how it saw that.
    ///
    /// # Errors
    /// When it failed.
    pub fn ended(self) -> Result<Seen> {
        report(self.output, self.running)
    }
}

fn report(mut output: BufReader<PipeReader>, running: Running) -> Result<Seen> {
    let mut text = String::new();
    output.read_to_string(&mut text)?;
    let exit = running.wait()?;
    serde_json::from_str(&text).with_context(|| format!("the talk ended with {exit:?}: {text}"))
}

impl World {
    /// Starts a cluster of two nodes with the mesh.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(topic: &str) -> Result<Self> {
        Self::start_with(topic, |_| {})
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(topic: &str, change: impl FnOnce(&mut Options)) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{topic}-{}-{number}", std::process::id());
        let mut options = Options {
            name,
            ..Options::default()
        };
        change(&mut options);
        let sandbox = Sandbox::up(&options).context("starting the sandbox")?;
        Ok(Self {
            sandbox,
            program: std::env::current_exe()?,
        })
    }

    /// Applies manifests.
    ///
    /// # Errors
    /// When they are refused.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        self.sandbox.apply(yaml).map(drop).map_err(Into::into)
    }

    /// Creates a namespace, in the mesh or not.
    ///
    /// # Errors
    /// When it is refused.
    pub fn namespace(&self, name: &str, in_mesh: bool) -> Result<()> {
        let mode = if in_mesh { "ambient" } else { "none" };
        self.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels:\n    \
             istio.io/dataplane-mode: {mode}\n"
        ))
    }

    /// Starts a pod that runs this executable.
    ///
    /// # Errors
    /// When it is refused.
    pub fn pod(&self, pod: &Pod<'_>) -> Result<()> {
        let (namespace, name) = pod.name.split_once('/').context("namespace/name")?;
        let labels: String = pod
            .labels
            .iter()
            .map(|(k, v)| format!("    {k}: {v:?}\n"))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("  labels:\n{labels}")
        };
        let command: Vec<String> = std::iter::once(self.program.to_string_lossy().into_owned())
            .chain(std::iter::once("app".to_owned()))
            .chain(pod.arguments.iter().map(|a| (*a).to_owned()))
            .collect();
        // Ready when it listens on its last port, not when it has been started.
        let probe = if pod.arguments == ["serve"] {
            format!("      readinessProbe:\n        tcpSocket:\n          port: {ECHO}\n")
        } else {
            String::new()
        };
        self.apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
             {labels}spec:\n  nodeName: {}\n  serviceAccountName: {}\n  containers:\n    \
             - name: app\n      image: journey\n      command: {}\n{probe}",
            pod.node,
            pod.account,
            serde_json::to_string(&command)?
        ))
    }

    /// A pod's state.
    ///
    /// # Errors
    /// When there is no such pod.
    pub fn status(&self, pod: &str) -> Result<PodStatus> {
        let wanted = PodName::parse(pod);
        let found = self
            .sandbox
            .status()?
            .pods
            .into_iter()
            .find(|p| p.pod == wanted);
        found.ok_or_else(|| anyhow!("there is no pod {wanted}"))
    }

    /// Waits until pods are ready and, in the mesh, enrolled.
    ///
    /// # Errors
    /// When they are not in time.
    pub fn wait(&self, pods: &[&str], enrolled: bool) -> Result<()> {
        for pod in pods {
            self.sandbox.wait_ready(&PodName::parse(pod), PATIENCE)?;
            eventually(&format!("{pod} is enrolled: {enrolled}"), PATIENCE, || {
                Ok((self.status(pod)?.enrolled == enrolled).then_some(()))
            })?;
        }
        Ok(())
    }

    /// A pod's IPv4 address.
    ///
    /// # Errors
    /// When it has none.
    pub fn address(&self, pod: &str) -> Result<IpAddr> {
        let addresses = self.status(pod)?.addresses;
        addresses
            .into_iter()
            .find(IpAddr::is_ipv4)
            .ok_or_else(|| anyhow!("{pod} has no address"))
    }

    /// Runs a client in a pod.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn client(&self, pod: &str, server: IpAddr, task: &Task) -> Result<Seen> {
        let task = serde_json::to_string(task)?;
        let output = self.run(pod, &["client", &server.to_string(), &task])?;
        if !output.exit.is_success() {
            bail!(
                "{task} in {pod}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout).context("what the client saw")
    }

    /// Starts a client that talks to a pod's echo until it is told to finish, and waits until it
    /// has been answered once.
    ///
    /// # Errors
    /// When it cannot be started or is not answered.
    pub fn talk(&self, pod: &str, server: IpAddr) -> Result<Talk> {
        self.begin(pod, server, &Task::Talk { bytes: 100_000 })
    }

    /// The same with a flood of bytes whose echo is looked at to the last one.
    ///
    /// # Errors
    /// When it cannot be started or is not answered.
    pub fn flood(&self, pod: &str, server: IpAddr) -> Result<Talk> {
        self.begin(pod, server, &Task::Flood)
    }

    fn begin(&self, pod: &str, server: IpAddr, task: &Task) -> Result<Talk> {
        let task = serde_json::to_string(task)?;
        let program = self.program.to_string_lossy();
        let command = [&program, "app", "client", &server.to_string(), &task];
        let (input, hush) = std::io::pipe()?;
        let (output, writer) = std::io::pipe()?;
        let nowhere = File::options().write(true).open("/dev/null")?;
        let target = Target::Pod(PodName::parse(pod));
        let streams = [input.into(), writer.into(), nowhere.into()];
        let running = self.sandbox.spawn(&target, &command, streams)?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        if line.trim() != TALKING {
            bail!("{pod} was not answered by {server}: {line:?}");
        }
        Ok(Talk {
            running,
            hush,
            output,
        })
    }

    /// Starts the journeys' server on a node, outside of any pod, until the result is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serve_on(&self, node: &str) -> Result<Running> {
        self.run_on(node, &["serve"])
    }

    /// Starts this executable on a node, outside of any pod, until the result is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_on(&self, node: &str, arguments: &[&str]) -> Result<Running> {
        let nowhere = || File::options().read(true).write(true).open("/dev/null");
        let streams = [nowhere()?.into(), nowhere()?.into(), nowhere()?.into()];
        let program = self.program.to_string_lossy();
        let target = Target::Node(node.to_owned());
        let mut command = vec![program.as_ref(), "app"];
        command.extend(arguments);
        self.sandbox
            .spawn(&target, &command, streams)
            .map_err(Into::into)
    }

    /// Lets the built-in client in a pod ask as a script says, and reads every answer.
    ///
    /// # Errors
    /// When the script is bad; a request without an answer is no failure, but an answer with its reason.
    pub fn ask(&self, pod: &str, asks: &[Ask]) -> Result<Vec<Answer>> {
        let script = serde_json::to_string(asks)?;
        let program = self.program.to_string_lossy();
        let command = [&program, "run", "echo", "--ask", &script];
        let target = Target::Pod(PodName::parse(pod));
        let output = self.sandbox.exec(&target, &command)?;
        if !output.exit.is_success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("{script} in {pod}: {said}");
        }
        let text = output.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }

    /// Runs this executable in a pod.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, pod: &str, arguments: &[&str]) -> Result<Output> {
        let program = self.program.to_string_lossy();
        let mut command = vec![program.as_ref(), "app"];
        command.extend(arguments);
        self.sandbox
            .exec(&Target::Pod(PodName::parse(pod)), &command)
            .map_err(Into::into)
    }

    /// Makes a certificate whose files pods can read.
    ///
    /// # Errors
    /// When the mesh's CA cannot be read or a file not written.
    pub fn mint(&self, signer: Signer, name: &str, uris: &[&str]) -> Result<Minted> {
        self.mint_with(Flaw::Nothing, signer, name, uris)
    }

    /// The same with something wrong in it.
    ///
    /// # Errors
    /// As [`World::mint`].
    pub fn mint_with(
        &self,
        flaw: Flaw,
        signer: Signer,
        name: &str,
        uris: &[&str],
    ) -> Result<Minted> {
        let folder = self.sandbox.place().path().join("papers");
        std::fs::create_dir_all(&folder)?;
        let wish = Wish {
            signer,
            ca: self.sandbox.place().run().join("controller"),
            folder,
            name: name.to_owned(),
            uris: uris.iter().map(|u| (*u).to_owned()).collect(),
            flaw,
        };
        let (program, wish) = (
            self.program.to_string_lossy(),
            serde_json::to_string(&wish)?,
        );
        let command = [program.as_ref(), "app", "mint", &wish];
        let output = self.sandbox.exec(&Target::ControlPlane, &command)?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Waits until a program's log has a line with all these words.
    ///
    /// # Errors
    /// When there is none in time; the end of the log is in the error.
    pub fn logged(&self, program: &str, words: &[&str]) -> Result<String> {
        let file = self.log(program)?;
        eventually(&format!("{program} logs {words:?}"), PATIENCE, || {
            let text = std::fs::read_to_string(&file)?;
            Ok(text
                .lines()
                .find(|l| words.iter().all(|w| l.contains(w)))
                .map(str::to_owned))
        })
        .with_context(|| tail(&file))
    }

    /// A program's log file.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn log(&self, program: &str) -> Result<PathBuf> {
        let programs = self.sandbox.status()?.programs;
        let found = programs.into_iter().find(|p| p.name == program);
        found
            .map(|p| p.log)
            .ok_or_else(|| anyhow!("there is no program {program}"))
    }

    /// Reads one of a node proxy's or the controller's pages as JSON.
    ///
    /// # Errors
    /// When the page is not there.
    pub fn page(&self, target: &Target, url: &str) -> Result<serde_json::Value> {
        serde_json::from_str(&self.text(target, url)?).with_context(|| url.to_owned())
    }

    /// Reads one of a program's pages as text.
    ///
    /// # Errors
    /// When the page is not there.
    pub fn text(&self, target: &Target, url: &str) -> Result<String> {
        let program = self.program.to_string_lossy();
        let output = self
            .sandbox
            .exec(target, &[&program, "run", "echo", "--get", url])?;
        if !output.exit.is_success() {
            bail!("{url}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.text())
    }

    /// Ends the journey: tears the cluster down; after a failure its logs are printed first.
    ///
    /// # Errors
    /// The journey's own failure, or the teardown's.
    pub fn finish(self, outcome: Result<()>) -> Result<()> {
        let outcome = outcome.map_err(|error| error.context(self.evidence()));
        let down = self.sandbox.down().context("tearing down");
        outcome.and(down)
    }

    /// The ends of all logs.
    fn evidence(&self) -> String {
        let Ok(status) = self.sandbox.status() else {
            return "the sandbox is gone".to_owned();
        };
        let mut text = String::from("evidence:\n");
        for program in status.programs {
            text.push_str(&format!("--- {}\n{}\n", program.name, tail(&program.log)));
        }
        for pod in status.pods {
            text.push_str(&format!("pod {pod:?}\n"));
        }
        for waypoint in status.waypoints {
            for (pod, log) in waypoint.pods {
                text.push_str(&format!("--- waypoint {pod}\n{}\n", tail(&log)));
            }
        }
        text
    }
}

fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(40)..)
        .unwrap_or_default()
        .join("\n")
}
