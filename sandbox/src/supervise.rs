//! `sandbox-supervise`: PID 1 of the sandbox. Mounts what is ours, builds the network, serves, reaps; when it ends, all ends.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{dup2_stderr, dup2_stdout, sethostname};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

use crate::launch::{Orders, Report, init::report};
use crate::place::Place;
use crate::{control, network, world};

/// Why the sandbox cannot stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {operation}")]
    System {
        operation: &'static str,
        source: io::Error,
    },
    #[error("cannot mount a fresh /proc (a container that masks parts of /proc forbids it)")]
    Proc { source: io::Error },
    #[error("cannot build the network")]
    Network(#[from] network::links::Error),
    #[error("cannot set up the cluster")]
    World(#[from] world::Error),
}

fn system<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::System {
        operation,
        source: error.into(),
    }
}

/// Body of the hidden subcommand.
pub(crate) fn main(orders: Orders) -> ExitCode {
    // The front-end reads our standard output; everything else that is printed belongs into the log.
    let Ok(answer) = io::stdout().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut answer = File::from(answer);
    match run(orders, &mut answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let reason = mesh::telemetry::report(&error);
            tracing::error!(%reason, "the sandbox ends");
            report(&mut answer, &Report::Failed { reason });
            ExitCode::FAILURE
        }
    }
}

fn run(orders: Orders, answer: &mut File) -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("tie our life to init's"))?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .map_err(system("unblock signals"))?;
    let place = Place::at(&orders.place);
    log_to(&place.logs().join("sandbox.log")).map_err(system("open the sandbox's log"))?;
    mount_ours(&place.run())?;
    sethostname("weft").map_err(system("set the hostname"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system("start a runtime"))?;
    let outcome = runtime.block_on(serve(orders, place, answer));
    runtime.shutdown_background();
    outcome
}

fn log_to(path: &Path) -> io::Result<()> {
    let log = File::options().create(true).append(true).open(path)?;
    dup2_stdout(&log)?;
    dup2_stderr(&log)?;
    let filter = std::env::var("WEFT_SANDBOX_LOG").unwrap_or_else(|_| "info".to_owned());
    mesh::telemetry::log::init(mesh::telemetry::log::Format::Plain, &filter)
        .map_err(io::Error::other)?;
    Ok(())
}

fn mount_ours(run: &Path) -> Result<(), Error> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).map_err(|errno| {
        Error::Proc {
            source: errno.into(),
        }
    })?;
    mount(Some("tmpfs"), run, Some("tmpfs"), flags, Some("mode=0711"))
        .map_err(system("mount the run directory"))?;
    // Programs with mounts of their own follow what is mounted and unmounted here.
    mount(
        None::<&str>,
        run,
        None::<&str>,
        MsFlags::MS_SHARED,
        None::<&str>,
    )
    .map_err(system("share the run directory's mounts"))
}

async fn serve(orders: Orders, place: Place, answer: &mut File) -> Result<(), Error> {
    let world = Arc::new(world::World::build(orders, place)?);
    let listener = control::bind(world.place()).map_err(system("bind the control socket"))?;
    let mut told_to_end = signal(SignalKind::terminate()).map_err(system("watch for the end"))?;
    let children = world.children().clone();
    let started = async {
        world.start().await?;
        report(answer, &Report::Ready);
        std::future::pending().await
    };
    tokio::select! {
        ended = started => ended,
        never = children.reap() => never.map(drop).map_err(system("watch children")),
        () = control::serve(listener, world.clone()) => Ok(()),
        gone = leash() => gone.map_err(system("watch for init's end")),
        () = world.ended() => Ok(()),
        _ = told_to_end.recv() => Ok(()),
    }
}

/// Waits until init is gone: it holds the other end of our standard input.
async fn leash() -> io::Result<()> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let mut stdin = tokio::net::unix::pipe::Receiver::from_owned_fd(stdin)?;
    let mut byte = [0; 1];
    while stdin.read(&mut byte).await? > 0 {}
    Ok(())
}
