//! Asks one probe of one container again and again, and says what the answers mean.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use objects::kubernetes::Probe;
use tokio::time::{sleep, timeout};

use super::container::Run;
use super::live::LivePod;
use super::probe::{self, Attempt, Tally, Verdict};
use crate::process::{Children, Streams};

/// Longest pause before a container has answered for the first time, where asking often does no harm.
const EAGER: Duration = Duration::from_millis(100);

/// One probe of one container.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) pod: &'a Arc<LivePod>,
    pub(super) children: &'a Children,
    pub(super) run: &'a Run,
    pub(super) probe: &'a Probe,
}

impl Asker<'_> {
    /// Asks once per period until `is_enough`.
    pub(super) async fn until(&self, is_enough: impl FnMut(Verdict) -> bool) -> Verdict {
        self.ask_until(probe::period(self.probe), is_enough).await
    }

    /// The same, but more often until the first good answer: a pod should not wait a period for being noticed.
    pub(super) async fn eagerly_until(&self, is_enough: impl FnMut(Verdict) -> bool) -> Verdict {
        self.ask_until(EAGER, is_enough).await
    }

    async fn ask_until(
        &self,
        first_pause: Duration,
        mut is_enough: impl FnMut(Verdict) -> bool,
    ) -> Verdict {
        let Some(address) = self.pod.addresses.all().next() else {
            return Verdict::Undecided;
        };
        let attempt = probe::attempt(self.probe, &self.run.container, address);
        let (period, limit) = (probe::period(self.probe), probe::timeout(self.probe));
        let mut tally = Tally::new(self.probe);
        let mut pause = first_pause.min(period);
        sleep(Duration::from_secs(self.probe.initial_delay_seconds.into())).await;
        loop {
            let answer = self.ask(&attempt, limit).await;
            if let Err(reason) = &answer {
                tracing::debug!(pod = %self.pod.name, reason, "probe failed");
            }
            let verdict = tally.count(answer.is_ok());
            if is_enough(verdict) {
                return verdict;
            }
            if answer.is_ok() {
                pause = period;
            }
            sleep(pause).await;
        }
    }

    async fn ask(&self, attempt: &Attempt, limit: Duration) -> Result<(), String> {
        if let Attempt::Exec { command } = attempt {
            return self.run(command, limit).await;
        }
        let (node, attempt) = (self.pod.node.namespace.clone(), attempt.clone());
        let asked = tokio::task::spawn_blocking(move || probe::ask(&node, &attempt, limit)).await;
        asked.unwrap_or_else(|_| Err("the probe panicked".to_owned()))
    }

    async fn run(&self, command: &[String], limit: Duration) -> Result<(), String> {
        let Some((mut spec, environment)) = self.pod.joining(self.run.index) else {
            return Err("the container does not run".to_owned());
        };
        spec.command = command.to_vec();
        let streams = Streams::Log(self.run.log.clone());
        let started = self.children.start(&spec, &environment, streams);
        let process = started.map_err(|error| error.to_string())?;
        match timeout(limit, process.wait()).await {
            Ok(exit) if exit.is_success() => Ok(()),
            Ok(exit) => Err(format!("{exit:?}")),
            Err(_) => {
                process.signal_group(Signal::SIGKILL);
                Err("timed out".to_owned())
            }
        }
    }
}
