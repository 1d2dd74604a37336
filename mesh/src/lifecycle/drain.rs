//! Tell everyone to finish, and know when they have.
//!
//! A [`Trigger`] is held by whoever decides to stop; each piece of work holds a [`Watch`] to hear of it
//! and a [`Hold`] for as long as it is not finished.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Draining,
    Closing,
}

/// Starts the drain and waits for it.
#[derive(Debug)]
pub struct Trigger {
    phase: watch::Sender<Phase>,
    holds: mpsc::Receiver<()>,
}

/// Hears of the drain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Watch {
    phase: watch::Receiver<Phase>,
    hold: mpsc::Sender<()>,
}

/// Unfinished work; the drain ends when every hold is dropped.
#[derive(Clone, Debug)]
pub struct Hold {
    _alive: mpsc::Sender<()>,
}

/// A new drain.
pub fn channel() -> (Trigger, Watch) {
    let (phase_sender, phase) = watch::channel(Phase::Running);
    let (hold, holds) = mpsc::channel(1);
    (
        Trigger {
            phase: phase_sender,
            holds,
        },
        Watch { phase, hold },
    )
}

impl Watch {
    /// Resolves once the drain has begun (or its trigger is gone).
    pub async fn draining(&self) {
        let mut phase = self.phase.clone();
        let _ = phase.wait_for(|p| *p != Phase::Running).await;
    }

    /// Resolves once the deadline of the drain is over: close now, whatever is unfinished.
    pub async fn closing(&self) {
        let mut phase = self.phase.clone();
        let _ = phase.wait_for(|p| *p == Phase::Closing).await;
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }

    /// Announces unfinished work; keep the value until it is done.
    pub fn hold(&self) -> Hold {
        Hold {
            _alive: self.hold.clone(),
        }
    }
}

impl Trigger {
    /// Tells every watch to finish, waits up to `deadline` for all holds, then tells them to close.
    /// Returns whether all work finished in time. The caller must have dropped its own [`Watch`]es.
    pub async fn drain(mut self, deadline: Duration) -> bool {
        self.phase.send_replace(Phase::Draining);
        let finished = tokio::time::timeout(deadline, self.holds.recv())
            .await
            .is_ok();
        self.phase.send_replace(Phase::Closing);
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_for_holds_until_the_deadline() {
        let (trigger, watch) = channel();
        let hold = watch.hold();
        let late = watch.clone();
        drop(watch);
        assert!(!late.is_draining());
        let drained = tokio::join!(trigger.drain(Duration::from_secs(5)), async move {
            late.draining().await;
            drop(late);
            drop(hold);
        });
        assert!(drained.0);
    }

    #[tokio::test(start_paused = true)]
    async fn closes_what_does_not_finish() {
        let (trigger, watch) = channel();
        let hold = watch.hold();
        let closing = watch.clone();
        drop(watch);
        let (finished, ()) = tokio::join!(trigger.drain(Duration::from_secs(5)), async {
            closing.closing().await;
        });
        assert!(!finished);
        drop(hold);
    }
}
