//! Recipe of enrolment: feed (the node agent speaks) -> ledger (what follows from it) -> supervisor
//! (doors are opened and closed), then the answer. Next hop of the path: `pod_proxy`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::drain;
use mesh::lifecycle::ready::Gate;
use mesh::telemetry::report;

use crate::metrics::Metrics;
use crate::netns::Home;
use crate::workers::Workers;

pub mod back_off;
pub mod feed;
pub mod ledger;
pub mod supervisor;

use back_off::BackOff;
use feed::{Feed, Heard};
use ledger::{Ledger, Message};
use supervisor::Supervisor;

/// How often a pod whose doors could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What enrolment works with.
pub struct Enrolment {
    /// The data path threads.
    pub workers: Workers,
    /// Crossed out when a snapshot is complete and all its pods have their doors open.
    pub ready: Option<Gate>,
    /// Counters.
    pub metrics: Metrics,
    /// Namespace of this process.
    pub home: Arc<Home>,
}

/// Follows the node agent at `socket` until the drain begins, across any number of sessions.
///
/// A lost session stops no pod: only the next snapshot says which are gone.
pub async fn follow(socket: &Path, enrolment: Enrolment, drain: drain::Watch) {
    let Enrolment {
        workers,
        mut ready,
        metrics,
        home,
    } = enrolment;
    let mut ledger = Ledger::new();
    let mut supervisor = Supervisor::new(workers, metrics);
    let mut back_off = BackOff::default();
    loop {
        let session = async {
            let feed = Feed::connect(socket, Arc::clone(&home)).await?;
            tracing::info!(socket = %socket.display(), "the node agent is there");
            ledger.begin_session();
            let mut session = Session {
                feed: &feed,
                ledger: &mut ledger,
                supervisor: &mut supervisor,
                ready: &mut ready,
                back_off: &mut back_off,
            };
            session.run().await
        };
        let ended = tokio::select! {
            () = drain.draining() => return,
            ended = session => ended,
        };
        let pause = back_off.pause();
        match ended {
            Ok(()) => tracing::info!("the node agent closed its session"),
            Err(error) => tracing::warn!(
                error = report(&error),
                pause_ms = pause.as_millis(),
                "no session with the node agent, dialling again"
            ),
        }
        tokio::select! {
            () = drain.draining() => return,
            () = tokio::time::sleep(pause) => {}
            () = retry_forever(&mut ledger, &mut supervisor) => {}
        }
    }
}

/// Keeps trying failed starts while there is no session.
async fn retry_forever(ledger: &mut Ledger<feed::Netns>, supervisor: &mut Supervisor) {
    loop {
        tokio::time::sleep(RETRY).await;
        supervisor.retry(ledger).await;
    }
}

struct Session<'a> {
    feed: &'a Feed,
    ledger: &'a mut Ledger<feed::Netns>,
    supervisor: &'a mut Supervisor,
    ready: &'a mut Option<Gate>,
    back_off: &'a mut BackOff,
}

impl Session<'_> {
    /// One session: message, consequences, answer, until the agent closes or is out of step.
    async fn run(&mut self) -> Result<(), feed::Error> {
        let mut retry = tokio::time::interval(RETRY);
        loop {
            let heard = tokio::select! {
                heard = self.feed.next() => heard?,
                _ = retry.tick() => {
                    self.supervisor.retry(self.ledger).await;
                    self.note_progress();
                    continue;
                }
            };
            let answer = match heard {
                Heard::Closed => return Ok(()),
                Heard::Unusable { uid, why } => {
                    self.ledger.mention(&uid);
                    Some(why)
                }
                Heard::Message(message) => {
                    self.look_for_strangers(&message);
                    match self.ledger.receive(message) {
                        Ok(orders) => self.supervisor.carry_out(self.ledger, orders).await,
                        Err(violation) if violation.ends_session() => return Err(violation.into()),
                        Err(violation) => Some(violation.to_string()),
                    }
                }
            };
            self.note_progress();
            self.feed.acknowledge(answer).await?;
        }
    }

    /// A pod to be kept that this proxy never had is served by nobody, until the agent hands its namespace over.
    fn look_for_strangers(&self, message: &Message<feed::Netns>) {
        if let Message::Keep { uid } = message
            && !self.ledger.is_wanted(uid)
        {
            tracing::warn!(
                uid = &**uid,
                "the agent keeps a pod that this proxy does not serve"
            );
        }
    }

    fn note_progress(&mut self) {
        self.supervisor.show(self.ledger.counts());
        if self.ledger.has_snapshot() {
            self.back_off.reset();
        }
        if self.ledger.is_ready()
            && let Some(gate) = self.ready.take()
        {
            gate.done();
        }
    }
}
