//! Journeys across programs, each in a cluster of its own. This executable also is every program of
//! that cluster: hidden subcommands first, then what runs inside pods, then the tests.

mod configuration;
mod doors;
mod enrolment;
mod entries;
#[cfg(feature = "packages")]
mod envoy;
mod identities;
mod malformed;
mod metrics;
mod on_demand;
mod policies;
mod renewals;
mod streams;
mod waypoint;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use libtest_mimic::{Arguments, Failed, Trial};

/// A journey by name.
type Journey = (&'static str, fn() -> Result<()>);

fn main() -> ExitCode {
    if let Some(code) = sandbox::entry::dispatch(std::env::args_os().skip(1)) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("run") => cli::main(cli::args::Args::parse()),
        Some("app") => app(arguments.get(1..).unwrap_or_default()),
        _ => tests(),
    }
}

fn tests() -> ExitCode {
    let mut journeys: Vec<Journey> = Vec::new();
    journeys.extend(streams::JOURNEYS);
    journeys.extend(identities::JOURNEYS);
    journeys.extend(malformed::JOURNEYS);
    journeys.extend(configuration::JOURNEYS);
    journeys.extend(metrics::JOURNEYS);
    journeys.extend(renewals::JOURNEYS);
    journeys.extend(doors::JOURNEYS);
    journeys.extend(on_demand::JOURNEYS);
    journeys.extend(entries::JOURNEYS);
    journeys.extend(policies::JOURNEYS);
    journeys.extend(enrolment::JOURNEYS);
    journeys.extend(waypoint::journeys());
    #[cfg(feature = "packages")]
    journeys.extend(envoy::JOURNEYS);
    let trials = journeys.into_iter().map(|(name, journey)| {
        Trial::test(name, move || {
            journey().map_err(|e| Failed::from(format!("{e:#}")))
        })
    });
    let mut arguments = Arguments::from_args();
    // Each journey is a cluster; more than two at once only slow each other down.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(2));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Programs inside pods.
fn app(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve"] => e2e::app::server::serve(),
        ["client", server, task] => client(server, task),
        ["upgrade", authority] => {
            e2e::app::upgrade::run(authority).map(|()| say("frames came back"))
        }
        ["words", "serve", port] => words_serve(port),
        ["words", "call", call] => words_call(call),
        ["impostor", rest @ ..] => e2e::app::impostor::main(rest),
        ["mint", wish] => mint(wish),
        ["vault", certificate, key] => e2e::app::vault::serve(certificate.as_ref(), key.as_ref()),
        ["text", text] => e2e::app::text::serve(text),
        ["count", server, port] => count(server, port),
        ["flush"] => flush(),
        ["plugin", call] => plugin(call),
        ["probed"] => probed(),
        _ => Err(anyhow::anyhow!("unknown program {words:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:?}"));
            ExitCode::FAILURE
        }
    }
}

fn client(server: &str, task: &str) -> Result<()> {
    let seen = e2e::app::client::run(server.parse()?, &serde_json::from_str(task)?)?;
    say(&serde_json::to_string(&seen)?);
    Ok(())
}

fn words_serve(port: &str) -> Result<()> {
    e2e::app::words::serve(port.parse()?)
}

fn words_call(call: &str) -> Result<()> {
    let told = e2e::app::words::call(&serde_json::from_str(call)?)?;
    say(&serde_json::to_string(&told)?);
    Ok(())
}

fn mint(wish: &str) -> Result<()> {
    let minted = e2e::mint::mint(&serde_json::from_str(wish)?)?;
    say(&serde_json::to_string(&minted)?);
    Ok(())
}

/// Prints what a port says.
fn count(server: &str, port: &str) -> Result<()> {
    let address = std::net::SocketAddr::new(server.parse()?, port.parse()?);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::net::TcpStream::connect(address)?, &mut text)?;
    say(&text);
    Ok(())
}

/// Takes all rules of the mesh out of the namespace that it runs in, as somebody who tidies up would.
fn flush() -> Result<()> {
    let tables = cni::rules::tables().map(cni::nft::Command::Remove);
    Ok(cni::nft::apply(&tables)?)
}

/// Calls the CNI plugin as a container runtime does, and prints its answer.
fn plugin(call: &str) -> Result<()> {
    let answer = e2e::app::runtime::call(&serde_json::from_str(call)?)?;
    say(&serde_json::to_string(&answer)?);
    Ok(())
}

/// Prints the addresses that the kubelet of this node may probe.
fn probed() -> Result<()> {
    let elements = cni::host::pods()?.unwrap_or_default();
    let addresses: Vec<_> = elements.iter().map(|it| it.address.to_string()).collect();
    say(&serde_json::to_string(&addresses)?);
    Ok(())
}

/// What a program in a pod found out, for the journey that started it.
#[expect(
    clippy::print_stdout,
    reason = "a program in a pod has no other way to answer"
)]
fn say(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "a program in a pod has no other way to complain"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Fails with a sentence unless the claim holds.
pub(crate) fn ensure(claim: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if !claim {
        bail!(otherwise());
    }
    Ok(())
}
