//! The demo's cluster: started, filled with pods, asked for pages, ended.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sandbox::messages::PodStatus;
use sandbox::sandbox::Output;
use sandbox::{Options, PodName, Sandbox, Target};

use super::Observed;
use super::tap::Seen;
use crate::args::DemoOptions;

const MANIFEST: &str = include_str!("cluster.yaml");
const WEB: &str = include_str!("web.yaml");
const NGINX: &str = include_str!("nginx.conf");

/// Longest time a pod may take to become ready.
const READY: Duration = Duration::from_secs(20);
/// Life of certificates, renewed at half of it: so short that a renewal can be watched.
const CERTIFICATE_LIFE: &str = "12s";
/// Port of the web servers in their pods.
pub(super) const WEB_PORT: u16 = 8080;

/// Which programs play server and client.
struct Programs {
    /// Whether the built-in ones were asked for.
    built_in: bool,
    nginx: Option<PathBuf>,
    curl: Option<PathBuf>,
}

/// The running cluster.
pub(crate) struct Cluster {
    sandbox: Sandbox,
    programs: Programs,
    weft: PathBuf,
    kept: Option<Seen>,
}

impl Cluster {
    /// Starts the sandbox and applies the demo's manifests.
    pub(super) fn start(options: &DemoOptions) -> Result<Self> {
        let find = |program| (!options.built_in).then(|| find(program)).flatten();
        let programs = Programs {
            built_in: options.built_in,
            nginx: find("nginx"),
            curl: find("curl"),
        };
        let settings = Options {
            name: options.name.clone(),
            program_env: vec![("SECRET_TTL".to_owned(), CERTIFICATE_LIFE.to_owned())],
            ..Options::default()
        };
        let sandbox = if options.keep {
            Sandbox::up_detached(&settings)
        } else {
            Sandbox::up(&settings)
        }?;
        let weft = std::env::current_exe().context("where this program is")?;
        let cluster = Self {
            sandbox,
            programs,
            weft,
            kept: None,
        };
        cluster.sandbox.apply(MANIFEST)?;
        cluster.add_web("web-1", "node-1")?;
        cluster.add_web("web-2", "node-2")?;
        Ok(cluster)
    }

    /// Adds one web server.
    pub(super) fn add_web(&self, name: &str, node: &str) -> Result<()> {
        let command = match &self.programs.nginx {
            None => String::new(),
            Some(nginx) => {
                let folder = self.sandbox.place().path().join("nginx");
                std::fs::create_dir_all(&folder)?;
                let configuration = folder.join("nginx.conf");
                let text = NGINX.replace("DIRECTORY", &folder.to_string_lossy());
                std::fs::write(&configuration, text)?;
                format!("command: [{:?}, \"-c\", {configuration:?}]", nginx)
            }
        };
        let yaml = WEB
            .replace("NAME", name)
            .replace("NODE", node)
            .replace("COMMAND", &command);
        self.sandbox.apply(&yaml).map(drop).map_err(Into::into)
    }

    /// Keeps what was seen on the links for a later step.
    pub(super) fn keep_for_later(&mut self, seen: Seen) {
        self.kept = Some(seen);
    }

    /// What was kept.
    pub(super) fn kept(&self) -> Option<&Seen> {
        self.kept.as_ref()
    }

    /// The sandbox itself.
    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// This program, as pods see it too.
    pub(super) fn weft(&self) -> String {
        self.weft.to_string_lossy().into_owned()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.sandbox.name()
    }

    /// What serves pages.
    pub(super) fn server(&self) -> String {
        self.programs
            .describe(self.programs.nginx.as_deref(), "nginx")
    }

    /// What asks for pages.
    pub(super) fn client(&self) -> String {
        self.programs
            .describe(self.programs.curl.as_deref(), "curl")
    }

    /// A pod by `namespace/name`, as the sandbox knows it now.
    pub(super) fn pod(&self, name: &str) -> Result<PodStatus> {
        let wanted = PodName::parse(name);
        let found = self
            .sandbox
            .status()?
            .pods
            .into_iter()
            .find(|p| p.pod == wanted);
        found.ok_or_else(|| anyhow!("there is no pod {wanted}"))
    }

    /// A pod's address of one family.
    pub(super) fn address(&self, pod: &str, v6: bool) -> Result<IpAddr> {
        let found = self
            .pod(pod)?
            .addresses
            .into_iter()
            .find(|a| a.is_ipv6() == v6);
        let family = if v6 { "IPv6" } else { "IPv4" };
        found.ok_or_else(|| anyhow!("pod {pod} has no {family} address"))
    }

    /// A service's IPv4 address.
    pub(super) fn service(&self, name: &str) -> Result<IpAddr> {
        let services = self.sandbox.status()?.services;
        let addresses = services
            .get(name)
            .ok_or_else(|| anyhow!("there is no service {name}"))?;
        addresses
            .iter()
            .filter_map(|a| a.parse().ok())
            .find(IpAddr::is_ipv4)
            .ok_or_else(|| anyhow!("service {name} has no IPv4 address"))
    }

    /// Waits until a pod is ready.
    pub(super) fn wait_ready(&self, pod: &str) -> Result<()> {
        self.sandbox
            .wait_ready(&PodName::parse(pod), READY)
            .map_err(Into::into)
    }

    /// Asks for a page from within a pod, each time over a new connection.
    pub(super) fn get(&self, from: &str, url: &str) -> Result<Output> {
        let target = Target::Pod(PodName::parse(from));
        let weft = self.weft.to_string_lossy();
        let curl = self.programs.curl.as_ref().map(|c| c.to_string_lossy());
        let command = match &curl {
            Some(curl) => vec![
                curl.as_ref(),
                "--silent",
                "--show-error",
                "--fail",
                "--globoff",
                "--max-time",
                "10",
                url,
            ],
            None => vec![weft.as_ref(), "run", "echo", "--get", url],
        };
        self.sandbox.exec(&target, &command).map_err(Into::into)
    }

    /// Asks for a page and reads it as what the web servers answer.
    pub(super) fn page(&self, from: &str, url: &str) -> Result<Page> {
        let output = self.get(from, url)?;
        if !output.exit.is_success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(anyhow!("{from} could not get {url}: {said}"));
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{url} answered {:?}", output.text()))
    }

    /// Ends it, unless it shall stay.
    pub(super) fn end(self, keep: bool) -> Result<()> {
        if keep {
            Ok(())
        } else {
            self.sandbox.down().map_err(Into::into)
        }
    }
}

/// What a web server of the demo says about a request.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Page {
    /// The pod that answered.
    pub pod: String,
    /// The client's address as the server saw it, perhaps with its port.
    pub peer: String,
}

impl Page {
    /// The client's address without its port.
    pub(super) fn peer_address(&self) -> Option<IpAddr> {
        let socket: Option<std::net::SocketAddr> = self.peer.parse().ok();
        let address = socket.map(|s| s.ip()).or_else(|| self.peer.parse().ok())?;
        Some(address.to_canonical())
    }
}

/// A URL on an address.
pub(super) fn url(address: IpAddr, port: u16, path: &str) -> String {
    format!("http://{}{path}", std::net::SocketAddr::new(address, port))
}

/// First step: everything runs, nothing is enrolled.
pub(super) fn is_up(cluster: &mut Cluster) -> Result<Observed> {
    for pod in [
        "shop/customer",
        "shop/web-1",
        "shop/web-2",
        "village/neighbour",
    ] {
        cluster.wait_ready(pod)?;
    }
    let status = cluster.sandbox.status()?;
    let enrolled = status.pods.iter().filter(|p| p.enrolled).count();
    let text = format!(
        "{} nodes, {} pods ready, {enrolled} in the mesh; server {}, client {}",
        status.nodes.len(),
        status.pods.iter().filter(|p| p.ready).count(),
        cluster.server(),
        cluster.client(),
    );
    Ok(Observed::new(
        status.nodes.len() == 2 && enrolled == 0,
        text,
    ))
}

impl Programs {
    fn describe(&self, program: Option<&Path>, wanted: &str) -> String {
        match program {
            Some(program) => program.display().to_string(),
            None if self.built_in => "built in".to_owned(),
            None => format!("built in ({wanted} is not installed)"),
        }
    }
}

/// A program on the search path, or where system programs are.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|p| p.join(program))
        .find(|p| p.is_file())
}
