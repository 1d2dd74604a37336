//! The life of one container: start, probe, notice its end, start again with back-off.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use objects::kubernetes::Container;
use tokio::time::{Instant, sleep};

use super::ask::Asker;
use super::live::LivePod;
use super::probe::Verdict;
use super::status::State;
use crate::exec::{CANNOT_RUN, NOT_FOUND, Spec};
use crate::process::{Children, Environment, Exit, Process, Streams};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A container that ran this long starts with the first pause again.
const STABLE: Duration = Duration::from_secs(60);

/// How much of a log's end is looked at for its last line, bytes.
const LAST_WORDS: u64 = 1024;

/// What a container is and how it is run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Its place in the pod's state.
    pub(crate) index: usize,
    pub(crate) container: Container,
    pub(crate) spec: Spec,
    pub(crate) environment: Environment,
    pub(crate) log: PathBuf,
    pub(crate) restart: Restart,
}

/// When a container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    /// Reads `restartPolicy`; what Kubernetes does not know counts as its default.
    pub(crate) fn read(policy: Option<&str>) -> Self {
        match policy {
            Some("OnFailure") => Self::OnFailure,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }

    fn applies(self, exit: Exit) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !exit.is_success(),
            Self::Never => false,
        }
    }
}

/// Runs the container until it has ended for good (then says how).
pub(crate) async fn live(pod: Arc<LivePod>, children: Children, run: Run) -> Exit {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let exit = match children.start(&run.spec, &run.environment, Streams::Log(run.log.clone()))
        {
            Ok(process) => attend(&pod, &children, &run, process).await,
            Err(error) => {
                tracing::warn!(pod = %pod.name, %error, "cannot start a container");
                Exit::Code(CANNOT_RUN.into())
            }
        };
        if !run.restart.applies(exit) {
            pod.update(|state| {
                if let Some(one) = state.containers.get_mut(run.index) {
                    (one.state, one.ready) = (State::Ended(exit), false);
                }
            });
            return exit;
        }
        if started.elapsed() > STABLE {
            pause = FIRST_PAUSE;
        }
        let message = last_words(&run.log, exit);
        pod.update(|state| {
            if let Some(one) = state.containers.get_mut(run.index) {
                one.state = State::Waiting {
                    reason: "CrashLoopBackOff",
                    message,
                };
                (one.ready, one.last_exit) = (false, Some(exit));
                one.restarts = one.restarts.saturating_add(1);
            }
        });
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// From start to end of one process.
async fn attend(pod: &Arc<LivePod>, children: &Children, run: &Run, process: Process) -> Exit {
    let needs_no_asking =
        run.container.readiness_probe.is_none() && run.container.startup_probe.is_none();
    pod.running(run.index, &process);
    pod.update(|state| {
        if let Some(one) = state.containers.get_mut(run.index) {
            (one.state, one.ready) = (State::Running, needs_no_asking);
        }
    });
    tokio::select! {
        exit = process.wait() => exit,
        exit = watch_health(pod, children, run, &process) => exit,
    }
}

/// Probes for as long as the process lives; answers only after it was killed for being unwell.
async fn watch_health(
    pod: &Arc<LivePod>,
    children: &Children,
    run: &Run,
    process: &Process,
) -> Exit {
    let asker = |probe| Asker {
        pod,
        children,
        run,
        probe,
    };
    let container = &run.container;
    if let Some(probe) = &container.startup_probe {
        let verdict = asker(probe)
            .until(|verdict| verdict != Verdict::Undecided)
            .await;
        if verdict == Verdict::Unwell {
            return kill(process).await;
        }
        if container.readiness_probe.is_none() {
            pod.set_ready(run.index, true);
        }
    }
    let readiness = async {
        let Some(probe) = &container.readiness_probe else {
            return std::future::pending().await;
        };
        let publish = |verdict| {
            if verdict != Verdict::Undecided {
                pod.set_ready(run.index, verdict == Verdict::Well);
            }
            false
        };
        asker(probe).eagerly_until(publish).await;
    };
    let liveness = async {
        let Some(probe) = &container.liveness_probe else {
            return std::future::pending().await;
        };
        asker(probe)
            .until(|verdict| verdict == Verdict::Unwell)
            .await;
    };
    tokio::select! {
        () = readiness => {}
        () = liveness => {}
    }
    kill(process).await
}

async fn kill(process: &Process) -> Exit {
    process.signal_group(Signal::SIGKILL);
    process.wait().await
}

/// How a container ended, with its last line when it could not be started at all.
fn last_words(log: &Path, exit: Exit) -> String {
    let could_not_start =
        exit == Exit::Code(NOT_FOUND.into()) || exit == Exit::Code(CANNOT_RUN.into());
    let line = || {
        let mut log = std::fs::File::open(log).ok()?;
        let end = log.seek(SeekFrom::End(0)).ok()?;
        log.seek(SeekFrom::Start(end.saturating_sub(LAST_WORDS)))
            .ok()?;
        let mut bytes = Vec::new();
        log.take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(text.lines().next_back()?.to_owned())
    };
    match (exit, could_not_start.then(line).flatten()) {
        (_, Some(line)) => line,
        (Exit::Code(code), None) => format!("the program ended with code {code}"),
        (Exit::Signal(signal), None) => format!("the program was killed by signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_long_log_is_found_at_its_end() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let text = "chatter\n".repeat(10_000) + "sandbox: cannot run it\n";
        std::fs::write(log.path(), text).unwrap();
        let not_found = Exit::Code(NOT_FOUND.into());
        assert_eq!(last_words(log.path(), not_found), "sandbox: cannot run it");
        let ended = last_words(log.path(), Exit::Code(3));
        assert_eq!(ended, "the program ended with code 3");
    }
}
