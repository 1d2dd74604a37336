//! Plugins that wait for an answer: for the pod's object to arrive, for its task to be done, for somebody to look.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mesh::telemetry::report;
use objects::kubernetes::Pod;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::guard::verify;
use super::handover::Handover;
use super::keep_pod::{Enrolment, Progress, State};
use super::networks::Network;
use super::probes::Probes;
use super::serve_plugin::{Asked, No};
use crate::add_event::AddEvent;
use crate::netns::is_same;
use crate::rules::apply;

/// Plugins whose pod is not known yet, each with the time until which it waits.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<(Instant, Asked)>);

impl Waiting {
    pub(super) fn add(&mut self, deadline: Instant, question: Asked) {
        self.0.push((deadline, question));
    }

    /// All of them, to be considered again.
    pub(super) fn take(&mut self) -> Vec<(Instant, Asked)> {
        std::mem::take(&mut self.0)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Answers those whose time is over.
    pub(super) fn give_up(&mut self, node: &str) {
        let now = Instant::now();
        for (_, question) in self.0.extract_if(.., |(deadline, _)| *deadline <= now) {
            let words = unknown(&question.event, node);
            reply(question, Err(words));
        }
    }
}

/// What is said of a pod that is not among the objects.
pub(super) fn unknown(event: &AddEvent, node: &str) -> No {
    No::NotNow(format!(
        "pod {}/{} is not among the pods of node {node}",
        event.pod_namespace, event.pod_name
    ))
}

/// Whether this is the pod that the plugin means, and not an earlier one of the same name. The uid of a pod that the
/// kubelet starts by itself is another than that of its mirror among the objects.
pub(super) fn is_meant(pod: &Pod, event: &AddEvent) -> bool {
    let metadata = &pod.metadata;
    let is_mirror = metadata.annotations.has("kubernetes.io/config.mirror");
    let is_same = event
        .pod_uid
        .as_ref()
        .is_none_or(|uid| *uid == metadata.uid);
    is_same || is_mirror
}

/// Waits until the pod's task has reached this goal or a later one.
pub(super) async fn confirmed(
    mut progress: watch::Receiver<Progress>,
    generation: u64,
    limit: Duration,
) -> Result<(), No> {
    let is_final = |progress: &Progress| {
        progress.generation >= generation && !matches!(progress.state, State::Trying(_))
    };
    let ended = timeout(limit, progress.wait_for(is_final))
        .await
        .map(|ended| ended.map(|progress| progress.state.clone()).map_err(|_| ()));
    let why_not = match ended {
        Ok(Ok(State::Failed(words))) => words,
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(())) => "the pod is gone".into(),
        Err(_) => match &progress.borrow().state {
            State::Trying(Some(words)) => words.clone(),
            _ => "ztunnel has not confirmed the pod in time".into(),
        },
    };
    Err(No::NotNow(why_not))
}

/// What a pod is held against when somebody asks whether it is well.
pub(super) struct Expected {
    /// Where the runtime says that it is.
    pub(super) netns: PathBuf,
    /// Where the agent knows it to be.
    pub(super) network: Option<Network>,
    /// How it is to be enrolled, and how far that is; `None` for a pod outside the mesh.
    pub(super) enrolled: Option<(Arc<Enrolment>, State)>,
    pub(super) handover: Handover,
    pub(super) probes: Probes,
}

impl Expected {
    /// Looks at all of it.
    pub(super) async fn examine(self) -> Result<(), No> {
        let wrong = |words: &str| Err(No::Wrong(words.to_owned()));
        let Some(network) = &self.network else {
            return wrong("the agent does not know the pod's network namespace");
        };
        let is_there = std::fs::File::open(&self.netns)
            .is_ok_and(|there| is_same(there.as_fd(), network.netns.as_fd()));
        if !is_there {
            return wrong(
                "the pod's network namespace is another than the one it was started with",
            );
        }
        let Some((enrolment, state)) = &self.enrolled else {
            return match is_redirected(network).await? {
                true => wrong("the pod is outside the mesh, and yet its traffic is redirected"),
                false => Ok(()),
            };
        };
        match state {
            State::Reached => self.examine_enrolled(enrolment).await,
            State::Trying(None) => wrong("the pod is not enrolled yet"),
            State::Trying(Some(words)) | State::Failed(words) => wrong(words),
        }
    }

    async fn examine_enrolled(&self, enrolment: &Enrolment) -> Result<(), No> {
        let faults = verify(&enrolment.netns, &enrolment.redirection)
            .await
            .map_err(|error| No::NotNow(report(&error)))?;
        let mut wrong: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if let Err(error) = self.handover.serves(&enrolment.uid) {
            wrong.push(report(&error));
        }
        match self.probes.has(&enrolment.addresses).await {
            Ok(true) => {}
            Ok(false) => wrong.push("the kubelet's probes of the pod do not pass".into()),
            Err(error) => return Err(No::NotNow(report(&error))),
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(No::Wrong(wrong.join("; ")))
        }
    }
}

async fn is_redirected(network: &Network) -> Result<bool, No> {
    let netns = Arc::clone(&network.netns);
    let looked = spawn_blocking(move || apply::is_redirected(netns.as_fd())).await;
    match looked {
        Ok(looked) => looked.map_err(|error| No::NotNow(report(&error))),
        Err(error) => Err(No::NotNow(report(&error))),
    }
}

/// Sends an answer.
pub(super) fn reply(question: Asked, result: Result<(), No>) {
    // The plugin may have given up, and the runtime will call it again.
    let _ = question.answer.send(result);
}
