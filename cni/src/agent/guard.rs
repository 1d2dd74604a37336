//! Watches over rules that are in place: hears that somebody may have changed a pod's redirection, looks, and puts it
//! back in one step.
//!
//! The kernel's notices make it quick; an interval makes it sure.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mesh::telemetry::report;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use crate::notices::Notices;
use crate::rules::{self, Redirection, apply};

/// The least time between two looks: whoever changes rules all the time must not keep the agent busy.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// Why rules could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot look at the pod's rules")]
    Look(#[from] apply::Error),
    #[error("work on the pod's namespace broke off")]
    Work(#[from] JoinError),
}

/// How closely rules are watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attention {
    /// The longest time between two looks.
    pub(super) interval: Duration,
}

impl Attention {
    /// Returns when there is reason to look: a notice, or the interval is over. Notices that fail are let go, the
    /// interval stays.
    pub(super) async fn wait(&self, notices: &mut Option<Notices>) {
        let heard = async {
            match &*notices {
                Some(notices) => notices.changed().await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            heard = heard => heard,
            () = sleep(self.interval) => Ok(()),
        };
        if let Err(error) = heard {
            tracing::warn!(
                error = report(&error),
                "the kernel gives no more notices of changed rules"
            );
            *notices = None;
        }
    }
}

/// One pod's redirection as it was put in place.
#[derive(Debug)]
pub(super) struct Guard {
    netns: Arc<OwnedFd>,
    redirection: Redirection,
    notices: Option<Notices>,
}

impl Guard {
    /// Begins to listen; whatever changes from now on is heard.
    pub(super) fn over(netns: &Arc<OwnedFd>, redirection: &Redirection) -> Self {
        let notices = Notices::of(netns.as_fd(), rules::tables().to_vec()).inspect_err(|error| {
            tracing::warn!(
                error = report(error),
                "changes of a pod's rules are seen late: only when the interval is over"
            );
        });
        Guard {
            netns: Arc::clone(netns),
            redirection: redirection.clone(),
            notices: notices.ok(),
        }
    }

    /// Returns when there is reason to look.
    pub(super) async fn wait(&mut self, attention: Attention) {
        attention.wait(&mut self.notices).await;
    }

    /// What is not as it should be.
    pub(super) async fn look(&self) -> Result<Vec<apply::Fault>, Error> {
        verify(&self.netns, &self.redirection).await
    }
}

/// What is not as it should be in a pod's namespace.
pub(super) async fn verify(
    netns: &Arc<OwnedFd>,
    redirection: &Redirection,
) -> Result<Vec<apply::Fault>, Error> {
    let (netns, redirection) = (Arc::clone(netns), redirection.clone());
    Ok(spawn_blocking(move || apply::verify(netns.as_fd(), &redirection)).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_notices_the_interval_is_reason_enough_to_look() {
        let attention = Attention {
            interval: Duration::from_secs(30),
        };
        let begun = tokio::time::Instant::now();
        attention.wait(&mut None).await;
        assert_eq!(begun.elapsed(), attention.interval);
    }
}
