//! `sandbox-init`: single-threaded; enters the new namespaces, starts PID 1 inside, and outlives it to clean up.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Gid, Uid, setsid};

use super::refusal::{Switches, explain};
use super::user_map::{Mapper, map_all, map_own};
use super::{OURSELVES, Orders, Report, SUPERVISE};
use crate::place::{self, Place};

/// A command that looks for leftovers holds the lock for a moment.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Why the namespaces could not be made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("sandbox {name} is already running")]
    Running { name: String },
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error("this machine does not let us make a user namespace: {explanation}")]
    Forbidden { explanation: String },
    #[error("cannot {operation}")]
    System {
        operation: &'static str,
        source: io::Error,
    },
}

fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::System {
        operation,
        source: error.into(),
    }
}

/// Body of the hidden subcommand: `arguments` is the orders as JSON.
pub fn main(orders: Orders) -> ExitCode {
    match run(orders) {
        Ok(code) => code,
        Err(error) => {
            report(
                &mut io::stdout(),
                &Report::Failed {
                    reason: mesh::telemetry::report(&error),
                },
            );
            ExitCode::FAILURE
        }
    }
}

/// Body of the hidden subcommand that writes the identity map of process `pid`.
pub fn map_users(pid: &str) -> ExitCode {
    map_all(pid).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn run(mut orders: Orders) -> Result<ExitCode, Error> {
    // A session of our own: the terminal's Ctrl-C reaches the front-end only, which then decides.
    let _ = setsid();
    let place = Place::at(&orders.place);
    let Some(_lock) = place.lock(LOCK_PATIENCE)? else {
        return Err(Error::Running {
            name: orders.options.name,
        });
    };
    place.clear()?;
    for folder in [place.cluster(), place.logs(), place.run()] {
        fs::create_dir(&folder).map_err(system("make the sandbox's folders"))?;
    }
    let outcome = enter(&mut orders).and_then(|()| {
        let signals = watch_signals()?;
        let child = start_supervisor(&orders)?;
        stand_by(child, &signals, orders.owned)
    });
    place.remove()?;
    outcome
}

/// Enters all new namespaces. `orders.many_ids` tells whether more than one id is mapped.
fn enter(orders: &mut Orders) -> Result<(), Error> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mapper = match uid.is_root() {
        true => Some(Mapper::start().map_err(system("start the id mapper"))?),
        false => None,
    };
    unshare(CloneFlags::CLONE_NEWUSER).map_err(forbidden)?;
    let mapped = match mapper {
        Some(mapper) => mapper.finish().map_err(system("wait for the id mapper"))?,
        None => false,
    };
    if !mapped {
        map_own(uid, gid).map_err(system("map our user id"))?;
    }
    orders.many_ids = mapped;
    // Ubuntu lets the user namespace be made and takes its capabilities away, so this is where it shows.
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .map_err(forbidden)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(system("make the mounts private"))
}

fn forbidden(errno: Errno) -> Error {
    let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
    let switches = Switches {
        max_user_namespaces: read("/proc/sys/user/max_user_namespaces"),
        unprivileged_clone: read("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    };
    Error::Forbidden {
        explanation: explain(errno, &switches),
    }
}

fn watch_signals() -> Result<SignalFd, Error> {
    let mut mask = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        mask.add(signal);
    }
    mask.thread_block().map_err(system("block signals"))?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(system("watch signals"))
}

fn start_supervisor(orders: &Orders) -> Result<Child, Error> {
    let orders = serde_json::to_string(orders)
        .map_err(|error| system("write the supervisor's orders")(io::Error::from(error)))?;
    Command::new(OURSELVES)
        .arg0("weft")
        .arg(SUPERVISE)
        .arg(orders)
        .stdin(Stdio::piped()) // its leash: we hold the other end for as long as we live
        .spawn()
        .map_err(system("start the supervisor"))
}

/// Waits for the first of: PID 1 is gone, the owner is gone, we are told to end. Then nothing inside is left.
fn stand_by(mut child: Child, signals: &SignalFd, owned: bool) -> Result<ExitCode, Error> {
    let stdin = io::stdin();
    loop {
        let mut watched = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if owned {
            watched.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(system("wait for events")(errno)),
        }
        let owner_gone = watched
            .get(1)
            .and_then(|fd| fd.revents())
            .is_some_and(|e| !e.is_empty());
        let mut told_to_end = owner_gone;
        while let Ok(Some(info)) = signals.read_signal() {
            told_to_end |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
        if told_to_end {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = child
            .try_wait()
            .map_err(system("wait for the supervisor"))?
        {
            return Ok(if status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
    }
}

/// Writes the one line that the front-end waits for; it may be gone already.
pub(crate) fn report(to: &mut impl Write, report: &Report) {
    if let Ok(line) = serde_json::to_string(report) {
        let _ = writeln!(to, "{line}");
        let _ = to.flush();
    }
}
