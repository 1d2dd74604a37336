//! The mesh's programs in a sandbox: started, found by name, killed, held, started again.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use sandbox::app::echo::Seen;
use sandbox::capture::parse;
use sandbox::capture::recording::Recording;
use sandbox::messages::ProgramStatus;
use sandbox::{Options, PodName, Sandbox, Target};

use crate::machine::until;
use crate::{Test, waypoints};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        (
            "every_program_runs_and_comes_back_when_it_is_killed",
            comes_back,
        ),
        (
            "a_node_reaches_the_controller_by_its_name",
            controller_by_name,
        ),
        (
            "pods_of_a_labelled_namespace_speak_mutual_tls_between_nodes",
            mutual_tls,
        ),
    ]
}

/// This binary stands for `weft run PROGRAM`.
pub(crate) fn run() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, program, rest @ ..] = arguments.as_slice() else {
        return None;
    };
    if run != "run" {
        return None;
    }
    let report = |outcome: anyhow::Result<()>| match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:?}"); // the program's log
            ExitCode::FAILURE
        }
    };
    match program.as_str() {
        "echo" => Some(sandbox::app::echo::main(rest.iter().cloned(), |name| {
            std::env::var(name).ok()
        })),
        "controller" => Some(report(controller::app::start())),
        "cni-agent" => Some(cni::app::start_agent()),
        "cni-plugin" => Some(cni::app::run_plugin()),
        "waypoint" => Some(report(waypoints::stand_in())),
        "ztunnel" => Some(report(ztunnel::app::run_from_environment())),
        _ => None,
    }
}

fn up(test: &str) -> anyhow::Result<Sandbox> {
    let name = format!("m-{test}-{}", std::process::id());
    Ok(Sandbox::up(&Options {
        name,
        ..Options::default()
    })?)
}

fn find(sandbox: &Sandbox, name: &str) -> Option<ProgramStatus> {
    sandbox
        .status()
        .ok()?
        .programs
        .into_iter()
        .find(|one| one.name == name)
}

fn comes_back() -> anyhow::Result<()> {
    let sandbox = up("back")?;
    let names: Vec<String> = sandbox
        .status()?
        .programs
        .into_iter()
        .map(|one| one.name)
        .collect();
    ensure!(
        names
            == [
                "controller",
                "cni-agent/node-1",
                "ztunnel/node-1",
                "cni-agent/node-2",
                "ztunnel/node-2"
            ],
        "{names:?}"
    );
    let pid = || find(&sandbox, "controller").and_then(|one| one.pid);
    until("the controller runs", PATIENCE, || pid().is_some())?;
    let first = pid();
    sandbox.kill_program("controller", false)?;
    until("the controller runs again", PATIENCE, || {
        pid().is_some_and(|now| Some(now) != first)
    })?;
    sandbox.kill_program("controller", true)?;
    until("the controller is held", PATIENCE, || {
        find(&sandbox, "controller").is_some_and(|it| it.held && it.pid.is_none())
    })?;
    sandbox.start_program("controller")?;
    until("the controller runs after it was held", PATIENCE, || {
        pid().is_some()
    })?;
    let error = sandbox
        .kill_program("nobody", false)
        .err()
        .context("killed nobody")?;
    ensure!(error.to_string().contains("ztunnel/node-2"), "{error}");
    Ok(sandbox.down()?)
}

fn controller_by_name() -> anyhow::Result<()> {
    let sandbox = up("name")?;
    // The built-in client speaks no TLS: that it is told so is proof enough that somebody listens there.
    let url = "http://weft-controller.weft-system.svc:15012/";
    let command = ["/proc/self/exe", "run", "echo", "--get", url];
    let node = Target::Node("node-2".to_owned());
    until("an answer of the controller", PATIENCE, || {
        let Ok(output) = sandbox.exec(&node, &command) else {
            return false;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.contains("the request failed")
    })?;
    Ok(sandbox.down()?)
}

const MESH: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: weft.dev/echo}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: shop, labels: {app: server}}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: weft.dev/echo
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: shop}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
"#;

fn mutual_tls() -> anyhow::Result<()> {
    let sandbox = up("mtls")?;
    sandbox.apply(MESH)?;
    let (client, server) = (PodName::parse("shop/client"), PodName::parse("shop/server"));
    for pod in [&client, &server] {
        sandbox.wait_ready(pod, PATIENCE)?;
    }
    let find = |pod: &PodName| {
        sandbox
            .status()
            .ok()?
            .pods
            .into_iter()
            .find(|one| one.pod == *pod)
    };
    until("both pods are enrolled", PATIENCE, || {
        [&client, &server]
            .iter()
            .all(|pod| find(pod).is_some_and(|one| one.enrolled))
    })?;
    let mut recording = Recording::new(sandbox.capture(&server)?)?;
    let mut frames = Vec::new();
    let command = [
        "/proc/self/exe",
        "run",
        "echo",
        "--get",
        "http://server/needle",
    ];
    let mut seen: Option<Seen> = None;
    until("an answer through two proxies", PATIENCE, || {
        let output = sandbox.exec(&Target::Pod(client.clone()), &command).ok();
        seen = output.and_then(|output| serde_json::from_slice(&output.stdout).ok());
        frames.extend(recording.frames().unwrap_or_default());
        let streams = parse::streams(frames.iter().map(Vec::as_slice));
        seen.is_some()
            && streams.iter().any(|((_, to), bytes)| {
                to.port() == 15008
                    && parse::client_hello(bytes)
                        .is_some_and(|hello| hello.versions.contains(&parse::TLS_1_3))
            })
    })?;
    let own = find(&client).context("no client")?.addresses;
    assert_eq!(seen.map(|seen| seen.peer.ip()).as_ref(), own.first());
    sandbox.kill_program("controller", true)?;
    let output = sandbox.exec(&Target::Pod(client.clone()), &command)?;
    ensure!(
        output.exit.is_success(),
        "traffic stopped with the controller: {output:?}"
    );
    for node in ["node-1", "node-2"] {
        sandbox.kill_program(&format!("ztunnel/{node}"), true)?;
    }
    let output = sandbox.exec(&Target::Pod(client), &command)?;
    ensure!(!output.exit.is_success(), "traffic went around the proxies");
    Ok(sandbox.down()?)
}
