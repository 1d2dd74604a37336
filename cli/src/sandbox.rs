//! `weft sandbox`: start, fill, look at and end a cluster of namespaces.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result};
use sandbox::{Options, PodName, Sandbox, Status, Target};

use crate::args::SandboxCommand;
use crate::print;

/// Carries out one `weft sandbox` command.
pub(crate) fn main(command: SandboxCommand) -> Result<ExitCode> {
    match command {
        SandboxCommand::Up { name, nodes, no_mesh } => {
            let options = Options { name, nodes, mesh: !no_mesh, ..Options::default() };
            let sandbox = Sandbox::up_detached(&options)?;
            print::line(&format!("sandbox {} is up", sandbox.name()));
            print::line(&format!("logs: {}", sandbox.logs().display()));
        }
        SandboxCommand::Apply { name, files } => {
            let sandbox = Sandbox::connect(&name)?;
            for file in files {
                let yaml = read(&file).with_context(|| file.clone())?;
                for line in sandbox.apply(&yaml).with_context(|| file.clone())? {
                    print::line(&line);
                }
            }
        }
        SandboxCommand::Delete { name, namespace, kind, object } => {
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
    let words = |items: &[std::net::IpAddr]| {
        items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    let head = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let mut rows = vec![head(&["NODE", "ADDRESSES"])];
    rows.extend(status.nodes.iter().map(|n| vec![n.name.clone(), words(&n.addresses)]));
    print::table(&rows);
    print::line("");
    let mut rows = vec![head(&["PROGRAM", "STATE", "RESTARTS", "LOG"])];
    rows.extend(status.programs.iter().map(|p| {
        let state = match (p.pid, p.held) {
            (Some(pid), _) => format!("running ({pid})"),
            (None, true) => "held".to_owned(),
            (None, false) => "down".to_owned(),
        };
        vec![p.name.clone(), state, p.restarts.to_string(), p.log.display().to_string()]
    }));
    print::table(&rows);
    print::line("");
    let mut rows = vec![head(&["POD", "NODE", "PHASE", "READY", "MESH", "ADDRESSES", "MESSAGE"])];
    rows.extend(status.pods.iter().map(|p| {
        vec![
            p.pod.to_string(),
            p.node.clone().unwrap_or_default(),
            p.phase.clone(),
            p.ready.to_string(),
            if p.enrolled { "enrolled" } else { "-" }.to_owned(),
            words(&p.addresses),
            p.message.clone().unwrap_or_default(),
        ]
    }));
    print::table(&rows);
    if !status.services.is_empty() {
        print::line("");
        let mut rows = vec![head(&["SERVICE", "ADDRESSES"])];
        rows.extend(status.services.iter().map(|(name, at)| vec![name.clone(), at.join(",")]));
        print::table(&rows);
    }
    for problem in &status.problems {
        print::line(&format!("problem: {problem}"));
    }
}
