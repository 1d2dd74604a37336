//! One pod's enrolment, brought to what is wanted and kept there: rules -> ztunnel -> probe address -> mark, and back
//! (contract: pod hand-over, docs/compat.md#pod-hand-over).
//!
//! Level-triggered: a task per pod looks at what is wanted now, acts, and tries again with growing pauses until it is so;
//! every step may be repeated. Whatever fails, the pod is never left reachable without its rules while it is enrolled.

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

use super::handover::{self, Handover};
use super::mark::{Marker, Redirection as Mark};
use crate::host;
use crate::nft::{self, Element};
use crate::rules::{Redirection, Settings, apply};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What all pods' tasks work with.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) handover: Handover,
    pub(super) marker: Marker,
    pub(super) settings: Arc<Settings>,
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
    /// It will not be tried again.
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
    Probes(#[from] nft::Error),
    #[error("cannot mark the pod")]
    Mark(#[from] objects::sink::Error),
    #[error("work on the pod's namespace broke off")]
    Work(#[from] JoinError),
}

impl Keeper {
    /// Starts the task. `present` is how the pod is known to be enrolled already, by an agent before.
    pub(super) fn start(tools: Tools, present: Option<Arc<Enrolment>>, wanted: Wanted) -> Self {
        let first = Progress {
            generation: wanted.generation,
            state: State::Trying(None),
        };
        let (wanted, wanted_receiver) = watch::channel(wanted);
        let (progress_sender, progress) = watch::channel(first);
        let mark = present.as_ref().map(|_| Mark::Enabled);
        let worker = Worker {
            tools,
            present,
            mark,
            progress: progress_sender,
        };
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

    /// Which goal is the present one.
    pub(super) fn generation(&self) -> u64 {
        self.wanted.borrow().generation
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
                && Arc::ptr_eq(&one.netns, &other.netns)
        }
        (Goal::Out, Goal::Out) | (Goal::Gone, Goal::Gone) => true,
        _ => false,
    }
}

struct Worker {
    tools: Tools,
    /// As what the pod is enrolled, wholly or in part.
    present: Option<Arc<Enrolment>>,
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
            self.progress.send_replace(Progress { generation, state });
            if matches!(goal, Goal::Gone) && !is_trying {
                return;
            }
            tokio::select! {
                changed = wanted.changed() => {
                    // The agent itself is ending: what is in place stays for the next one.
                    if changed.is_err() { return }
                    pause = FIRST_PAUSE;
                }
                Ok(()) = connected.changed(), if is_trying => pause = FIRST_PAUSE,
                () = sleep(pause), if is_trying => pause = (pause * 2).min(LONGEST_PAUSE),
            }
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
        let before = self.present.replace(Arc::clone(enrolment));
        let inside = Arc::clone(enrolment);
        spawn_blocking(move || apply::apply(inside.netns.as_fd(), &inside.redirection)).await??;
        let pod = handover::Pod {
            info: enrolment.info.clone(),
            netns: Some(Arc::clone(&enrolment.netns)),
        };
        if let Err(error) = self.tools.handover.add(&enrolment.uid, pod).await {
            // A pod that an agent before has enrolled stays marked: its ztunnel may well be serving it.
            if self.mark != Some(Mark::Enabled) {
                self.mark(enrolment, Mark::Pending).await?;
            }
            return Err(error.into());
        }
        if let Some(before) = before {
            let is_stale = |address: &&IpAddr| !enrolment.addresses.contains(address);
            let stale = before.addresses.iter().filter(is_stale);
            self.unprobe(elements(&before.uid, stale)).await?;
        }
        let settings = Arc::clone(&self.tools.settings);
        let probed = elements(&enrolment.uid, &enrolment.addresses);
        spawn_blocking(move || host::add_pod(&settings, &probed)).await??;
        self.mark(enrolment, Mark::Enabled).await?;
        tracing::info!(pod = self.name(), uid = enrolment.uid, "enrolled");
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), Error> {
        let Some(present) = self.present.clone() else {
            return Ok(());
        };
        self.tools.handover.delete(&present.uid).await;
        let inside = Arc::clone(&present);
        spawn_blocking(move || apply::remove(inside.netns.as_fd())).await??;
        self.unprobe(elements(&present.uid, &present.addresses))
            .await?;
        self.tools.marker.unmark(&present.key).await?;
        tracing::info!(pod = self.name(), uid = present.uid, "no longer enrolled");
        (self.mark, self.present) = (None, None);
        Ok(())
    }

    /// Its mark is bound to its uid, so it cannot be taken for the mark of a later pod of the same name.
    async fn bury(&mut self) -> Result<(), Error> {
        let Some(present) = self.present.clone() else {
            return Ok(());
        };
        self.unprobe(elements(&present.uid, &present.addresses))
            .await?;
        self.tools.handover.delete(&present.uid).await;
        tracing::info!(pod = self.name(), uid = present.uid, "gone");
        self.present = None;
        Ok(())
    }

    async fn unprobe(&self, elements: Vec<Element>) -> Result<(), Error> {
        let settings = Arc::clone(&self.tools.settings);
        Ok(spawn_blocking(move || host::remove_pod(&settings, &elements)).await??)
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

fn elements<'a>(uid: &str, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Vec<Element> {
    addresses
        .into_iter()
        .map(|address| Element::new(*address, uid))
        .collect()
}
