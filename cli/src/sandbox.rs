//! `weft sandbox`: start, fill, look at and end a cluster of namespaces.

use std::io::Read;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use sandbox::{Options, PodName, Sandbox, Status, Target};

use crate::args::SandboxCommand;
use crate::print;

/// How long `apply --wait` waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Carries out one `weft sandbox` command.
pub(crate) fn main(command: SandboxCommand) -> Result<ExitCode> {
    match command {
        SandboxCommand::Up {
            name,
            nodes,
            no_mesh,
        } => {
            let options = Options {
                name,
                nodes,
                mesh: !no_mesh,
                ..Options::default()
            };
            let sandbox = Sandbox::up_detached(&options)?;
            print::line(&format!("sandbox {} is up", sandbox.name()));
            print::line(&format!("logs: {}", sandbox.logs().display()));
        }
        SandboxCommand::Apply { name, files, wait } => {
            let sandbox = Sandbox::connect(&name)?;
            for file in files {
                let yaml = read(&file).with_context(|| file.clone())?;
                for line in sandbox.apply(&yaml).with_context(|| file.clone())? {
                    print::line(&line);
                }
            }
            if wait {
                sandbox.wait_settled(PATIENCE)?;
            }
        }
        SandboxCommand::Delete {
            name,
            namespace,
            kind,
            object,
        } => {
            Sandbox::connect(&name)?.delete(&kind, &namespace, &object)?;
            print::line(&format!("{kind} {namespace}/{object} deleted"));
        }
        SandboxCommand::Exec { name, pod, command } => {
            let sandbox = Sandbox::connect(&name)?;
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            let exit = sandbox.exec_here(&Target::Pod(PodName::parse(&pod)), &command)?;
            return Ok(ExitCode::from(u8::try_from(exit.code()).unwrap_or(u8::MAX)));
        }
        SandboxCommand::Status { name, json } => {
            let status = Sandbox::connect(&name)?.status()?;
            if json {
                print::line(&serde_json::to_string_pretty(&status)?);
            } else {
                show(&status);
            }
        }
        SandboxCommand::Down { name } => {
            Sandbox::connect(&name)?.down()?;
            print::line(&format!("sandbox {name} is down"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &str) -> Result<String> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        std::fs::File::open(file)?.read_to_string(&mut text)?;
    }
    Ok(text)
}

fn show(status: &Status) {
    nodes(status);
    print::line("");
    programs(status);
    print::line("");
    pods(status);
    if !status.services.is_empty() {
        print::line("");
        services(status);
    }
    for problem in &status.problems {
        print::line(&format!("problem: {problem}"));
    }
}

fn head(cells: &[&str]) -> Vec<Vec<String>> {
    vec![cells.iter().map(|cell| (*cell).to_owned()).collect()]
}

fn words(addresses: &[IpAddr]) -> String {
    addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn nodes(status: &Status) {
    let mut rows = head(&["NODE", "ADDRESSES"]);
    rows.extend(
        status
            .nodes
            .iter()
            .map(|node| vec![node.name.clone(), words(&node.addresses)]),
    );
    print::table(&rows);
}

fn programs(status: &Status) {
    let mut rows = head(&["PROGRAM", "STATE", "RESTARTS", "LOG"]);
    rows.extend(status.programs.iter().map(|program| {
        let state = match (program.pid, program.held) {
            (Some(pid), _) => format!("running ({pid})"),
            (None, true) => "held".to_owned(),
            (None, false) => "down".to_owned(),
        };
        let log = program.log.display().to_string();
        vec![
            program.name.clone(),
            state,
            program.restarts.to_string(),
            log,
        ]
    }));
    print::table(&rows);
}

fn pods(status: &Status) {
    let mut rows = head(&[
        "POD",
        "NODE",
        "PHASE",
        "READY",
        "MESH",
        "ADDRESSES",
        "MESSAGE",
    ]);
    rows.extend(status.pods.iter().map(|pod| {
        vec![
            pod.pod.to_string(),
            pod.node.clone().unwrap_or_default(),
            pod.phase.clone(),
            pod.ready.to_string(),
            if pod.enrolled { "enrolled" } else { "-" }.to_owned(),
            words(&pod.addresses),
            pod.message.clone().unwrap_or_default(),
        ]
    }));
    print::table(&rows);
}

fn services(status: &Status) {
    let mut rows = head(&["SERVICE", "ADDRESSES"]);
    rows.extend(
        status
            .services
            .iter()
            .map(|(name, at)| vec![name.clone(), at.join(",")]),
    );
    print::table(&rows);
}
