//! Carries the ledger's orders out: opens a pod's doors on its worker, closes them again.

use std::sync::Arc;

use mesh::telemetry::report;

use super::feed::Netns;
use super::ledger::{Ledger, Order};
use crate::metrics::Metrics;
use crate::pod::{PodInfo, PodUid};
use crate::workers::Workers;

/// Opens and closes doors.
pub struct Supervisor {
    workers: Workers,
    metrics: Metrics,
}

impl Supervisor {
    /// Over these workers.
    pub fn new(workers: Workers, metrics: Metrics) -> Self {
        Self { workers, metrics }
    }

    /// Carries orders out in sequence. Answers with what went wrong, for the node agent; such pods
    /// stay wanted and are tried again.
    pub async fn carry_out(
        &mut self,
        ledger: &mut Ledger<Netns>,
        orders: Vec<Order<Netns>>,
    ) -> Option<String> {
        let mut problem = None;
        for order in orders {
            match order {
                Order::Stop { uid } => self.stop(&uid).await,
                Order::Start { uid, info, netns } => {
                    if let Err(why) = self.start(ledger, uid, info, netns).await {
                        problem = Some(why);
                    }
                }
            }
        }
        problem
    }

    /// Tries the pods again whose doors could not be opened.
    pub async fn retry(&mut self, ledger: &mut Ledger<Netns>) {
        let orders = ledger.retries();
        if !orders.is_empty() {
            self.carry_out(ledger, orders).await;
        }
    }

    /// Publishes how many pods are served and how many wait.
    pub fn show(&self, (running, pending): (usize, usize)) {
        self.metrics
            .pods
            .active
            .set(i64::try_from(running).unwrap_or(i64::MAX));
        self.metrics
            .pods
            .pending
            .set(i64::try_from(pending).unwrap_or(i64::MAX));
    }

    async fn start(
        &mut self,
        ledger: &mut Ledger<Netns>,
        uid: PodUid,
        info: PodInfo,
        netns: Netns,
    ) -> Result<(), String> {
        let label = format!("{}/{}", info.namespace, info.name);
        match self
            .workers
            .start(Arc::clone(&uid), info, Arc::clone(&netns))
            .await
        {
            Ok(()) => {
                tracing::info!(
                    pod = label,
                    uid = &*uid,
                    inode = netns.id().inode,
                    "doors open"
                );
                self.metrics.pods.started.inc();
                if !ledger.started(&uid, &netns) {
                    self.stop(&uid).await;
                }
                Ok(())
            }
            Err(error) => {
                let why = report(&error);
                tracing::warn!(
                    pod = label,
                    uid = &*uid,
                    error = why,
                    "doors stay closed, will retry"
                );
                Err(why)
            }
        }
    }

    async fn stop(&mut self, uid: &PodUid) {
        self.workers.stop(uid).await;
        self.metrics.pods.stopped.inc();
        tracing::info!(uid = &**uid, "doors closed");
    }
}
