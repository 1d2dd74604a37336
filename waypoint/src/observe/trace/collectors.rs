//! From workers to collectors: one bounded queue for all, one for each collector, batches over
//! OTLP/gRPC. A collector that is away costs its own spans, which are counted, and nothing else.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::task;
use mesh::model::provider::ProviderAddress;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Endpoint;

use super::spans::resource;
use super::{Finished, Own};
use crate::observe::metrics::Events;

/// Requests that may wait for their collector's queue, of all workers together.
const WAITING: usize = 4096;
/// Requests that may wait for one collector.
const WAITING_FOR_ONE: usize = 2048;
/// Collectors at one time.
const COLLECTORS: usize = 64;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a batch is tried; waits of one, then two seconds lie between.
const TRIES: u32 = 3;
/// A collector without spans for so long is let go.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Where workers put what is to be reported; cheap to clone.
#[derive(Clone, Debug)]
pub struct Spans {
    sender: mpsc::Sender<Box<Finished>>,
    dropped: Counter,
}

impl Spans {
    /// Takes a finished request; what there is no room for is counted and forgotten.
    pub fn push(&self, finished: Box<Finished>) {
        if let Err(error) = self.sender.try_send(finished) {
            let (mpsc::error::TrySendError::Full(it) | mpsc::error::TrySendError::Closed(it)) =
                error;
            self.dropped.inc_by(it.len());
        }
    }
}

/// How addresses of collectors are found.
pub trait Resolve: Clone + Send + Sync + 'static {
    /// An address to dial now, or why there is none.
    fn resolve(
        &self,
        collector: &ProviderAddress,
    ) -> impl Future<Output = Result<SocketAddr, String>> + Send;
}

/// Makes the way and the work that has to be run at its end, on a runtime that is not the data path's,
/// until all [`Spans`] are gone and what they took is sent.
pub fn channel<R: Resolve>(
    own: Own,
    resolve: R,
    events: &Events,
) -> (Spans, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let spans = Spans {
        sender,
        dropped: events.spans_dropped.clone(),
    };
    let delivery = Delivery {
        own: Arc::new(own),
        resolve,
        sent: events.spans_sent.clone(),
        dropped: events.spans_dropped.clone(),
    };
    (spans, delivery.share_out(receiver))
}

#[derive(Clone, Debug)]
struct Delivery<R> {
    own: Arc<Own>,
    resolve: R,
    sent: Counter,
    dropped: Counter,
}

impl<R: Resolve> Delivery<R> {
    async fn share_out(self, mut receiver: mpsc::Receiver<Box<Finished>>) {
        let mut collectors: HashMap<ProviderAddress, mpsc::Sender<Box<Finished>>> = HashMap::new();
        let mut tasks = Vec::new();
        while let Some(finished) = receiver.recv().await {
            let address = &finished.tracer.settings.collector;
            let is_open = collectors.get(address).is_some_and(|it| !it.is_closed());
            if !is_open {
                collectors.retain(|_, sender| !sender.is_closed());
                tasks.retain(|task: &tokio::task::JoinHandle<_>| !task.is_finished());
                if collectors.len() >= COLLECTORS {
                    self.dropped.inc_by(finished.len());
                    continue;
                }
                let (sender, queue) = mpsc::channel(WAITING_FOR_ONE);
                let work = self.clone().deliver(address.clone(), queue);
                tasks.push(task::spawn("collector", work));
                collectors.insert(address.clone(), sender);
            }
            if let Some(sender) = collectors.get(address)
                && let Err(error) = sender.try_send(finished)
            {
                self.dropped.inc_by(error.into_inner().len());
            }
        }
        drop(collectors);
        for task in tasks {
            let _ = task.await;
        }
    }

    async fn deliver(self, address: ProviderAddress, mut queue: mpsc::Receiver<Box<Finished>>) {
        let mut exporter = None;
        let mut is_down = false;
        loop {
            let first = match tokio::time::timeout(IDLE, queue.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) => break,
            };
            let batch = self.gather(*first, &mut queue).await;
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            match self.send(&address, &mut exporter, batch, is_down).await {
                Ok(()) => {
                    self.sent.inc_by(count);
                    if std::mem::take(&mut is_down) {
                        tracing::info!(?address, "the collector takes spans again");
                    }
                }
                Err(error) => {
                    self.dropped.inc_by(count);
                    // Once, not for every batch that is lost.
                    if !std::mem::replace(&mut is_down, true) {
                        tracing::warn!(
                            ?address,
                            error,
                            "spans are lost: the collector does not take them"
                        );
                    }
                }
            }
        }
        queue.close();
        while let Some(late) = queue.recv().await {
            self.dropped.inc_by(late.len());
        }
    }

    /// A batch: what comes within a moment of the first.
    async fn gather(
        &self,
        first: Finished,
        queue: &mut mpsc::Receiver<Box<Finished>>,
    ) -> Vec<SpanData> {
        let until = Instant::now() + GATHER;
        let mut batch = first.spans(&self.own);
        while batch.len() < BATCH
            && let Ok(Some(next)) = timeout_at(until, queue.recv()).await
        {
            batch.extend(next.spans(&self.own));
        }
        batch
    }

    /// Sends a batch. While a collector is known to be down it is tried once only, so that the queue moves.
    async fn send(
        &self,
        address: &ProviderAddress,
        exporter: &mut Option<SpanExporter>,
        batch: Vec<SpanData>,
        is_down: bool,
    ) -> Result<(), String> {
        let tries = if is_down { 1 } else { TRIES };
        let mut wait = Duration::from_secs(1);
        for number in 1..=tries {
            let error = match self.try_once(address, exporter, batch.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Its address may have changed.
            *exporter = None;
            if number == tries {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2);
        }
        Ok(())
    }

    async fn try_once(
        &self,
        address: &ProviderAddress,
        exporter: &mut Option<SpanExporter>,
        batch: Vec<SpanData>,
    ) -> Result<(), String> {
        let exporter = match exporter {
            Some(exporter) => exporter,
            None => {
                let to = self.resolve.resolve(address).await?;
                exporter.insert(connect(to, &self.own)?)
            }
        };
        match tokio::time::timeout(ANSWER, exporter.export(batch)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {ANSWER:?}")),
        }
    }
}

fn connect(to: SocketAddr, own: &Own) -> Result<SpanExporter, String> {
    let endpoint = Endpoint::from_shared(format!("http://{to}")).map_err(|it| it.to_string())?;
    let channel = endpoint.connect_timeout(ANSWER).connect_lazy();
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(channel)
        .with_timeout(ANSWER)
        .build()
        .map_err(|error| error.to_string())?;
    exporter.set_resource(&resource(own));
    Ok(exporter)
}

#[cfg(test)]
mod tests;
