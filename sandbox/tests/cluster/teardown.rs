//! Nothing is left of a sandbox, whoever ends it and however.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Options, PodName, Sandbox};

use crate::Test;
use crate::machine::{Machine, exists, until};

const PATIENCE: Duration = Duration::from_secs(20);
/// Subcommand of this binary: own a sandbox until a signal comes, or panic.
const OWN: &str = "own-a-sandbox";

/// A pod that would outlive its sandbox if it could.
const SLEEPER: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: sleeper}\nspec:\n  \
    containers: [{name: main, command: [sh, -c, \"trap '' TERM INT HUP; setsid sleep 1000 & exec sleep 1000\"]}]\n";

pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("down_leaves_nothing", down_leaves_nothing),
        (
            "a_detached_sandbox_outlives_its_command_and_goes_with_down",
            detached,
        ),
        ("ctrl_c_of_the_owner_leaves_nothing", || {
            ended_by(Victim::Owner(Signal::SIGINT))
        }),
        ("a_killed_owner_leaves_nothing", || {
            ended_by(Victim::Owner(Signal::SIGKILL))
        }),
        ("a_panicking_owner_leaves_nothing", || {
            ended_by(Victim::Panic)
        }),
        ("a_killed_init_leaves_nothing", || ended_by(Victim::Init)),
        ("a_killed_supervisor_leaves_nothing", || {
            ended_by(Victim::Supervisor)
        }),
        (
            "a_sandbox_in_which_everybody_was_killed_goes_on_and_leaves_nothing",
            everybody_is_killed,
        ),
        (
            "a_second_sandbox_of_the_same_name_is_refused",
            second_is_refused,
        ),
    ]
}

fn options(name: &str) -> Options {
    Options {
        name: name.to_owned(),
        mesh: false,
        ..Options::default()
    }
}

/// A name that no other test and no other run uses.
fn name(test: &str) -> String {
    format!("t-{test}-{}", std::process::id())
}

fn down_leaves_nothing() -> anyhow::Result<()> {
    let name = name("down");
    let before = Machine::now(&name);
    // With the mesh's programs: they have sockets, rules and threads in other namespaces.
    let sandbox = Sandbox::up(&Options {
        mesh: true,
        ..options(&name)
    })?;
    let place = sandbox.place().path().to_owned();
    anyhow::ensure!(
        Machine::now(&name).has_processes(),
        "the sandbox has no process"
    );
    sandbox.down()?;
    anyhow::ensure!(!exists(&place), "{place:?} is left");
    assert_eq!(before, Machine::now(&name));
    Ok(())
}

/// Programs of the mesh and containers; the two whose death is the sandbox's own have tests below.
fn everybody_is_killed() -> anyhow::Result<()> {
    let name = name("all");
    let before = Machine::now(&name);
    let sandbox = Sandbox::up(&Options {
        mesh: true,
        ..options(&name)
    })?;
    sandbox.apply(SLEEPER)?;
    sandbox.wait_ready(&PodName::parse("sleeper"), PATIENCE)?;
    let all_run = |restarts: u32| {
        let Ok(status) = sandbox.status() else {
            return false;
        };
        let programs = status.programs.iter();
        let mut programs = programs.map(|one| (one.pid.is_some(), one.restarts));
        let mut pods = status.pods.iter().filter(|one| one.pod.name == "sleeper");
        programs.all(|(runs, count)| runs && count >= restarts)
            && pods.all(|one| one.ready && one.restarts >= restarts)
    };
    until("every program runs", PATIENCE, || all_run(0))?;
    let init = sandbox.init_pid().context("it has no process")?;
    let supervisor = supervisor(Pid::from_raw(init.cast_signed()))?.as_raw();
    let keep = [init, supervisor.cast_unsigned()];
    let mut victims = BTreeSet::new();
    until(
        "five programs, the container and its child run",
        PATIENCE,
        || {
            victims = Machine::now(&name).pids();
            victims.retain(|pid| !keep.contains(pid));
            victims.len() >= 7
        },
    )?;
    for pid in victims {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL); // it may have ended by itself
    }
    until("everybody runs again", PATIENCE, || all_run(1))?;
    let place = sandbox.place().path().to_owned();
    sandbox.down()?;
    anyhow::ensure!(!exists(&place), "{place:?} is left");
    assert_eq!(before, Machine::now(&name));
    Ok(())
}

fn detached() -> anyhow::Result<()> {
    let name = name("detached");
    let before = Machine::now(&name);
    drop(Sandbox::up_detached(&options(&name))?);
    anyhow::ensure!(Sandbox::running().contains(&name), "it is not running");
    Sandbox::connect(&name)?.down()?;
    assert_eq!(before, Machine::now(&name));
    anyhow::ensure!(Sandbox::connect(&name).is_err(), "it can still be reached");
    Ok(())
}

fn second_is_refused() -> anyhow::Result<()> {
    let name = name("second");
    let first = Sandbox::up(&options(&name))?;
    let second = Sandbox::up(&options(&name))
        .err()
        .context("a second one came up")?;
    let text = format!("{:?}", anyhow::Error::from(second));
    anyhow::ensure!(text.contains("already running"), "{text}");
    first.status()?;
    Ok(first.down()?)
}

enum Victim {
    Owner(Signal),
    Panic,
    Init,
    Supervisor,
}

/// Lets a process of its own own a sandbox, ends one process, and compares the machine before and after.
fn ended_by(victim: Victim) -> anyhow::Result<()> {
    let name = name(match victim {
        Victim::Owner(Signal::SIGINT) => "int",
        Victim::Owner(_) => "owner",
        Victim::Panic => "panic",
        Victim::Init => "init",
        Victim::Supervisor => "super",
    });
    let before = Machine::now(&name);
    let (mut owner, init) = start_owner(&name, matches!(victim, Victim::Panic))?;
    let place = Sandbox::connect(&name)?.place().path().to_owned();
    match victim {
        Victim::Owner(signal) => kill(Pid::from_raw(owner.id().cast_signed()), signal)?,
        Victim::Panic => drop(owner.stdin.take()),
        Victim::Init => kill(init, Signal::SIGKILL)?,
        Victim::Supervisor => kill(supervisor(init)?, Signal::SIGKILL)?,
    }
    until("the end of every process", PATIENCE, || {
        Machine::now(&name) == before || {
            // The owner of a sandbox that died lives on: that is its own business.
            let _ = owner.stdin.take();
            let _ = owner.try_wait();
            false
        }
    })?;
    owner.wait()?;
    anyhow::ensure!(Sandbox::connect(&name).is_err(), "it can still be reached");
    anyhow::ensure!(!exists(&place), "{place:?} is left after the next command");
    Ok(())
}

fn start_owner(name: &str, panics: bool) -> anyhow::Result<(Child, Pid)> {
    let mut owner = Command::new(std::env::current_exe()?)
        .args([OWN, name, if panics { "panic" } else { "wait" }])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    let stdout = owner.stdout.take().context("no output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    let init = line
        .trim()
        .parse()
        .with_context(|| format!("the owner said {line:?}"))?;
    Ok((owner, Pid::from_raw(init)))
}

fn supervisor(init: Pid) -> anyhow::Result<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children"))?;
    Ok(Pid::from_raw(
        children
            .split_whitespace()
            .next()
            .context("init has no child")?
            .parse()?,
    ))
}

/// The other side of [`start_owner`].
pub(crate) fn own_a_sandbox() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, name, how] = arguments.as_slice() else {
        return None;
    };
    if command != OWN {
        return None;
    }
    match own(name, how == "panic") {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            let _ = writeln!(io::stdout(), "{error:?}"); // where the other side reads
            Some(ExitCode::FAILURE)
        }
    }
}

fn own(name: &str, panics: bool) -> anyhow::Result<()> {
    let sandbox = Sandbox::up(&options(name))?;
    sandbox.apply(SLEEPER)?;
    sandbox.wait_ready(&PodName::parse("sleeper"), PATIENCE)?;
    let init = sandbox
        .init_pid()
        .context("an owned sandbox has a process")?;
    writeln!(io::stdout(), "{init}")?;
    io::stdin().read_to_end(&mut Vec::new())?;
    assert!(!panics, "as the test wishes");
    Ok(())
}
