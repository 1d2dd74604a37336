//! `cargo run --release -p e2e --bin bench [-- ROUNDS | -- scale [api-server] [PODS]]`: the figures of docs/performance.md.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use e2e::bench::load::{self, Load};
use e2e::bench::round::{Pair, measure};
use e2e::bench::table::{Series, render};
use e2e::bench::{cpu, memory};
use sandbox::{Options, PodName, Sandbox};

/// The mesh's programs run with the allocator that `weft` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds unless told otherwise.
const ROUNDS: usize = 7;
/// Pods of the large mesh unless told otherwise.
const PODS: usize = 10_000;
/// Longest wait for pods and enrolment.
const PATIENCE: Duration = Duration::from_secs(30);

/// What each round runs.
const LOADS: [Load; 3] = [
    Load::Bulk(2_000_000_000),
    Load::Small(20_000),
    Load::Connect(3_000),
];

fn main() -> ExitCode {
    if let Some(code) = sandbox::entry::dispatch(std::env::args_os().skip(1)) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "run") {
        return cli::main(cli::args::Args::parse());
    }
    match dispatch(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["serve"] => load::serve(),
        ["load", server, load] => {
            let measured = load::run(server.parse()?, serde_json::from_str(load)?)?;
            say(&serde_json::to_string(&measured)?);
            Ok(())
        }
        ["cpu", pids @ ..] => {
            let each = pids.iter().map(|pid| cpu::of_process(pid.parse()?));
            say(&each.sum::<Result<u64>>()?.to_string());
            Ok(())
        }
        ["memory", pid] => {
            let (now, peak) = memory::of_process(pid.parse()?)?;
            say(&format!("{now} {peak}"));
            Ok(())
        }
        ["scale", "api-server"] => scale_at_api_server(PODS),
        ["scale", "api-server", pods] => {
            scale_at_api_server(pods.parse().context("number of pods")?)
        }
        ["scale"] => scale(PODS),
        ["scale", pods] => scale(pods.parse().context("number of pods")?),
        [] => bench(ROUNDS),
        [rounds] => bench(rounds.parse().context("number of rounds")?),
        _ => bail!("usage: bench [ROUNDS] | bench scale [api-server] [PODS]"),
    }
}

fn bench(rounds: usize) -> Result<()> {
    let program = std::env::current_exe()?;
    let settings = Options {
        name: "bench".to_owned(),
        ..Options::default()
    };
    let sandbox = Sandbox::up(&settings)?;
    for (namespace, label) in [("plain", "none"), ("mesh", "ambient")] {
        sandbox.apply(&manifest(namespace, label, &program.to_string_lossy()))?;
    }
    let pairs = [pair(&sandbox, "plain")?, pair(&sandbox, "mesh")?];
    wait_enrolled(&sandbox)?;
    let mut series: Vec<Series> = LOADS
        .iter()
        .map(|&load| Series {
            load,
            plain: Vec::new(),
            mesh: Vec::new(),
        })
        .collect();
    for pair in &pairs {
        measure(&sandbox, &program, pair, Load::Small(500))?; // opens the tunnel, warms caches
    }
    for round in 0..rounds {
        for one in &mut series {
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for side in order {
                let Some(pair) = pairs.get(side) else {
                    continue;
                };
                let cost = measure(&sandbox, &program, pair, one.load)?;
                if side == 0 {
                    one.plain.push(cost)
                } else {
                    one.mesh.push(cost)
                }
            }
        }
        say_error(&format!("round {} of {rounds}", round + 1));
    }
    sandbox.down()?;
    say(&render(&series));
    Ok(())
}

fn scale(pods: usize) -> Result<()> {
    let program = std::env::current_exe()?;
    let settings = Options {
        name: "scale".to_owned(),
        ..Options::default()
    };
    let sandbox = Sandbox::up(&settings)?;
    let table = e2e::bench::scale::run(&sandbox, &program, pods.div_ceil(100));
    sandbox.down()?;
    say(&table?);
    Ok(())
}

fn scale_at_api_server(pods: usize) -> Result<()> {
    let program = std::env::current_exe()?;
    let table = e2e::bench::scale::api_server::run(&program, pods.div_ceil(100))?;
    say(&table);
    Ok(())
}

fn manifest(namespace: &str, label: &str, program: &str) -> String {
    let pod = |name: &str, node: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
             spec:\n  nodeName: {node}\n  containers:\n    - name: load\n      image: bench\n      \
             command: [{program:?}, \"serve\"]\n      readinessProbe:\n        tcpSocket:\n          \
             port: {}\n        periodSeconds: 1\n",
            load::ECHO
        )
    };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    \
         istio.io/dataplane-mode: {label}\n{}{}",
        pod("client", "node-1"),
        pod("server", "node-2")
    )
}

fn pair(sandbox: &Sandbox, namespace: &str) -> Result<Pair> {
    let name = |name: &str| PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    for pod in ["client", "server"] {
        sandbox.wait_ready(&name(pod), PATIENCE)?;
    }
    let pods = sandbox.status()?.pods;
    let server = pods.iter().find(|p| p.pod == name("server"));
    let address = server.and_then(|p| p.addresses.iter().copied().find(IpAddr::is_ipv4));
    let server = address.ok_or_else(|| anyhow!("{namespace}/server has no address"))?;
    Ok(Pair {
        client: name("client"),
        server,
    })
}

fn wait_enrolled(sandbox: &Sandbox) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let pods = sandbox.status()?.pods;
        if pods.iter().filter(|p| p.enrolled).count() == 2 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the pods were not enrolled")
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "progress and failures are for the person who waits"
)]
fn say_error(text: &str) {
    eprintln!("{text}");
}
