//! One pod's enrolment, brought to what is wanted and kept there: rules -> ztunnel -> probe address -> mark, and back
//! (contract: pod hand-over, docs/compat.md#pod-hand-over).
//!
//! Level-triggered: a task per pod looks at what is wanted now, acts, and tries again with growing pauses until it is so;
//! every step may be repeated. Whatever fails, the pod is never left reachable without its rules while it is enrolled;
//! and when somebody else changes them, they are put back.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::task;
use mesh::telemetry::report;
use mesh::zds::PodInfo;
use objects::kinds::Key;
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use super::guard::{Attention, Guard, SETTLE};
use super::handover::{self, Handover};
use super::mark::{Marker, Redirection as Mark};
use super::probes::{self, Probes};
use crate::metrics::Metrics;
use crate::rules::{Redirection, apply};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What all pods' tasks work with.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) handover: Handover,
    pub(super) marker: Marker,
    pub(super) probes: Probes,
    pub(super) attention: Attention,
    pub(super) metrics: Metrics,
}

/// A pod as it is to be enrolled.
#[derive(Debug, Clone)]
pub(super) struct Enrolment {
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) info: PodInfo,
    pub(super) netns: Arc<OwnedFd>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) redirection: Redirection,
    /// What its annotations say that asks for nothing, for people.
    pub(super) odd: Vec<String>,
}

/// What is to be undone of a pod.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) key: Key,
    pub(super) uid: String,
    /// Where its rules are, if that is known.
    pub(super) netns: Option<Arc<OwnedFd>>,
}

/// What is to become of a pod.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    /// It is the mesh's.
    Enrolled(Arc<Enrolment>),
    /// It is the mesh's no more but lives on.
    Out,
    /// It is gone, and its namespace with it.
    Gone,
}

/// A goal, and which one in the order of their setting.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) generation: u64,
    pub(super) goal: Goal,
}

/// How far the task is with the goal of this generation.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) generation: u64,
    pub(super) state: State,
}

/// How far a goal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Under way; why it was not reached at the first try.
    Trying(Option<String>),
    /// Reached.
    Reached,
    /// Its rules were refused; it is tried again only now and then, or when somebody asks for it.
    Failed(String),
}

/// A pod's task, from outside.
#[derive(Debug)]
pub(super) struct Keeper {
    wanted: watch::Sender<Wanted>,
    progress: watch::Receiver<Progress>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot redirect the pod's traffic")]
    Rules(#[from] apply::Error),
    #[error("ztunnel does not serve the pod")]
    Handover(#[from] handover::Error),
    #[error("cannot let the kubelet's probes pass")]
    Probes(#[from] probes::Error),
    #[error("cannot mark the pod")]
    Mark(#[from] objects::sink::Error),
    #[error("work on the pod's namespace broke off")]
    Work(#[from] JoinError),
}

impl Keeper {
    /// Starts the task. `present` is what an agent before has done, if it has enrolled the pod.
    pub(super) fn start(tools: Tools, present: Option<Present>, wanted: Wanted) -> Self {
        let first = Progress {
            generation: wanted.generation,
            state: State::Trying(None),
        };
        let (wanted, wanted_receiver) = watch::channel(wanted);
        let (progress_sender, progress) = watch::channel(first);
        let mark = present.as_ref().map(|_| Mark::Enabled);
        let mut worker = Worker {
            tools,
            present: None,
            guard: None,
            mark,
            progress: progress_sender,
        };
        worker.note(present);
        task::spawn("pod", worker.run(wanted_receiver));
        Keeper { wanted, progress }
    }

    /// Sets another goal, unless it is the present one.
    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|present| {
            let changes = !is_same(&present.goal, &wanted.goal);
            if changes {
                *present = wanted;
            }
            changes
        });
    }

    /// Has the present goal tried again, under a new number, if it has failed.
    pub(super) fn retry(&self, generation: u64) {
        if matches!(self.progress.borrow().state, State::Failed(_)) {
            self.wanted
                .send_modify(|present| present.generation = generation);
        }
    }

    /// Which goal is the present one.
    pub(super) fn generation(&self) -> u64 {
        self.wanted.borrow().generation
    }

    /// How far the present goal is now.
    pub(super) fn state(&self) -> State {
        let progress = self.progress.borrow();
        match progress.generation == self.generation() {
            true => progress.state.clone(),
            false => State::Trying(None),
        }
    }

    /// How far the task is.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

fn is_same(one: &Goal, other: &Goal) -> bool {
    match (one, other) {
        (Goal::Enrolled(one), Goal::Enrolled(other)) => {
            one.info == other.info
                && one.addresses == other.addresses
                && one.redirection == other.redirection
                && one.odd == other.odd
                && Arc::ptr_eq(&one.netns, &other.netns)
        }
        (Goal::Out, Goal::Out) | (Goal::Gone, Goal::Gone) => true,
        _ => false,
    }
}

struct Worker {
    tools: Tools,
    /// As what the pod is enrolled, wholly or in part.
    present: Option<Present>,
    /// Watches over its rules.
    guard: Option<Guard>,
    /// What is written on it.
    mark: Option<Mark>,
    progress: watch::Sender<Progress>,
}

impl Worker {
    async fn run(mut self, mut wanted: watch::Receiver<Wanted>) {
        let mut connected = self.tools.handover.connected();
        let mut pause = FIRST_PAUSE;
        loop {
            let Wanted { generation, goal } = wanted.borrow_and_update().clone();
            connected.mark_unchanged();
            let state = self.reach(&goal).await;
            let is_trying = matches!(state, State::Trying(_));
            let has_failed = matches!(state, State::Failed(_));
            self.progress.send_replace(Progress { generation, state });
            if matches!(goal, Goal::Gone) && !is_trying {
                return;
            }
            let interval = self.tools.attention.interval;
            tokio::select! {
                changed = wanted.changed() => {
                    // The agent itself is ending: what is in place stays for the next one.
                    if changed.is_err() { return }
                    pause = FIRST_PAUSE;
                }
                Ok(()) = connected.changed(), if is_trying => pause = FIRST_PAUSE,
                () = sleep(pause), if is_trying => pause = (pause * 2).min(LONGEST_PAUSE),
                () = sleep(interval), if has_failed => {}
                () = self.disturbed(), if !is_trying && !has_failed => {}
            }
        }
    }

    /// Returns when rules that were in place are not there any more. Never while there are none.
    async fn disturbed(&mut self) {
        let Some(guard) = &mut self.guard else {
            return std::future::pending().await;
        };
        loop {
            guard.wait(self.tools.attention).await;
            match guard.look().await {
                Ok(faults) if faults.is_empty() => {}
                Ok(faults) => {
                    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                    let pod = self.present.as_ref().map(|present| present.key.to_string());
                    let faults = faults.join(", ");
                    tracing::warn!(
                        pod,
                        faults,
                        "somebody changed the pod's rules; putting them back"
                    );
                    self.tools.metrics.count_pod_restored();
                    return;
                }
                Err(error) => tracing::warn!(error = report(&error), "will look again"),
            }
            sleep(SETTLE).await;
        }
    }

    async fn reach(&mut self, goal: &Goal) -> State {
        let result = match goal {
            Goal::Enrolled(enrolment) => self.enrol(enrolment).await,
            Goal::Out => self.leave().await,
            Goal::Gone => self.bury().await,
        };
        match result {
            Ok(()) => State::Reached,
            Err(error @ Error::Rules(_)) if matches!(goal, Goal::Enrolled(_)) => {
                let words = report(&error);
                tracing::error!(pod = self.name(), error = words, "the pod is left alone");
                State::Failed(words)
            }
            Err(error) => {
                let words = report(&error);
                tracing::warn!(pod = self.name(), error = words, "will try again");
                State::Trying(Some(words))
            }
        }
    }

    async fn enrol(&mut self, enrolment: &Arc<Enrolment>) -> Result<(), Error> {
        self.note(Some(Present {
            key: enrolment.key.clone(),
            uid: enrolment.uid.clone(),
            netns: Some(Arc::clone(&enrolment.netns)),
        }));
        for odd in &enrolment.odd {
            tracing::warn!(pod = self.name(), odd, "left out");
        }
        self.guard = Some(Guard::over(&enrolment.netns, &enrolment.redirection));
        let inside = Arc::clone(enrolment);
        spawn_blocking(move || apply::apply(inside.netns.as_fd(), &inside.redirection)).await??;
        let pod = handover::Pod {
            info: Some(enrolment.info.clone()),
            netns: Some(Arc::clone(&enrolment.netns)),
        };
        if let Err(error) = self.tools.handover.add(&enrolment.uid, pod).await {
            // A pod that an agent before has enrolled stays marked: its ztunnel may well be serving it.
            if self.mark != Some(Mark::Enabled) {
                self.mark(enrolment, Mark::Pending).await?;
            }
            return Err(error.into());
        }
        let probes = &self.tools.probes;
        probes.set(&enrolment.uid, &enrolment.addresses).await?;
        self.mark(enrolment, Mark::Enabled).await?;
        tracing::info!(pod = self.name(), uid = enrolment.uid, "enrolled");
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Error> {
        let Some(present) = self.present.clone() else {
            return Ok(());
        };
        self.guard = None;
        self.tools.handover.delete(&present.uid).await;
        match present.netns {
            Some(netns) => spawn_blocking(move || apply::remove(netns.as_fd())).await??,
            None => tracing::warn!(
                pod = self.name(),
                "where the pod's rules are is not known, they stay until it ends"
            ),
        }
        self.tools.probes.remove(&present.uid).await?;
        self.tools.marker.unmark(&present.key).await?;
        tracing::info!(pod = self.name(), uid = present.uid, "no longer enrolled");
        self.mark = None;
        self.note(None);
        Ok(())
    }

    /// Its mark is bound to its uid, so it cannot be taken for the mark of a later pod of the same name.
    async fn bury(&mut self) -> Result<(), Error> {
        self.guard = None;
        let Some(present) = self.present.clone() else {
            return Ok(());
        };
        self.tools.probes.remove(&present.uid).await?;
        self.tools.handover.delete(&present.uid).await;
        tracing::info!(pod = self.name(), uid = present.uid, "gone");
        self.note(None);
        Ok(())
    }

    /// Notes as what the pod is enrolled now.
    fn note(&mut self, present: Option<Present>) {
        let gauge = &self.tools.metrics.enrolled;
        match (&self.present, &present) {
            (None, Some(_)) => drop(gauge.inc()),
            (Some(_), None) => drop(gauge.dec()),
            _ => {}
        }
        self.present = present;
    }

    async fn mark(&mut self, enrolment: &Enrolment, mark: Mark) -> Result<(), Error> {
        self.tools
            .marker
            .mark(&enrolment.key, &enrolment.uid, mark)
            .await?;
        self.mark = Some(mark);
        Ok(())
    }

    fn name(&self) -> String {
        self.present
            .as_ref()
            .map(|present| present.key.to_string())
            .unwrap_or_default()
    }
}
