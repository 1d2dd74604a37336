//! Which replica writes: a Lease that one holds at a time. Every replica serves; only the leader writes.
//!
//! Two replicas are never leaders at once as long as their clocks run equally fast: a leader stops [`decide::HOLD`] after it
//! began its last renewal that was done, others take over [`decide::DURATION`] after they first saw it. A write that is
//! under way when leadership ends still cannot overwrite a later one: it names the version it was made for.

mod decide;

use std::time::Duration;

use http::Method;
use mesh::lifecycle::drain;
use objects::api::{Api, Call, Content, Meaning, Refusal, address};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use decide::{Bid, DURATION, HOLD, Next};

/// The lease's name, in the system namespace.
pub const NAME: &str = "weft-controller";
/// How often the lease is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Longest wait for one answer: shorter than what is left between two looks and the end of leadership.
const PATIENCE: Duration = Duration::from_secs(3);

/// Takes part in the election for as long as the program runs.
#[derive(Debug)]
pub struct Candidate {
    api: Api,
    collection: String,
    namespace: String,
    bid: Bid,
    leads: watch::Sender<bool>,
    begun: Instant,
}

impl Candidate {
    /// One that has not been elected; `me` must tell it from every other process. The receiver says whether it leads.
    pub fn new(api: Api, namespace: &str, me: &str) -> (Candidate, watch::Receiver<bool>) {
        let (leads, receiver) = watch::channel(false);
        let candidate = Candidate {
            api,
            collection: format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            namespace: namespace.to_owned(),
            bid: Bid::new(me),
            leads,
            begun: Instant::now(),
        };
        (candidate, receiver)
    }

    /// Takes part until the program drains; then hands over as soon as `writing` has ended.
    pub async fn run(mut self, drain: drain::Watch, writing: impl IntoFuture) {
        let mut failures = 0_u32;
        loop {
            match timeout(PATIENCE, self.round()).await {
                Ok(Ok(())) => failures = 0,
                Ok(Err(refusal)) => {
                    failures = failures.saturating_add(1);
                    if failures.is_power_of_two() {
                        tracing::warn!(%refusal, "cannot take part in the election of a leader");
                    }
                }
                Err(_) => failures = failures.saturating_add(1),
            }
            self.tell();
            let spread = LOOK.mul_f64(0.9 + rand::random::<f64>() / 5.0);
            let ends = self.bid.ends(self.now()).unwrap_or(LOOK);
            tokio::select! {
                () = drain.draining() => break,
                () = tokio::time::sleep(spread.min(ends)) => {}
            }
            self.tell();
        }
        self.leads.send_replace(false);
        writing.await;
        let released = timeout(PATIENCE, self.release()).await;
        if let Ok(Err(refusal)) = released {
            tracing::info!(%refusal, "leadership is not handed over, it will run out");
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn tell(&self) {
        let leads = self.bid.leads(self.now());
        self.leads.send_if_modified(|before| {
            let is_news = *before != leads;
            if is_news {
                tracing::info!(leads, "leadership");
            }
            *before = leads;
            is_news
        });
    }

    async fn read(&self) -> Result<Option<Value>, Refusal> {
        let path = format!("{}/{NAME}", self.collection);
        match self.api.call(Call::get(path)).await {
            Ok(lease) => Ok(Some(lease)),
            Err(refusal) if refusal.meaning() == Meaning::Absent => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn round(&mut self) -> Result<(), Refusal> {
        let lease = self.read().await?;
        let begun = self.now();
        let next = self.bid.consider(begun, lease.as_ref(), &stamp());
        self.write(next, begun).await
    }

    async fn release(&mut self) -> Result<(), Refusal> {
        let lease = self.read().await?;
        match lease.and_then(|it| self.bid.released(it, &stamp())) {
            Some(lease) => self.put(lease).await,
            None => Ok(()),
        }
    }

    async fn write(&mut self, next: Next, begun: Duration) -> Result<(), Refusal> {
        let done = match next {
            Next::Nothing => return Ok(()),
            Next::Create(mut lease) => {
                name(&mut lease, &self.namespace);
                let path = address::with(&self.collection, &MANAGER);
                let call = Call::send(Method::POST, path, Content::Object, lease);
                self.api.call(call).await.map(drop)
            }
            Next::Replace(lease) => self.put(lease).await,
        };
        match done {
            Ok(()) => self.bid.held(begun),
            // Another was faster; what it wrote is seen next time.
            Err(refusal) if refusal.meaning() == Meaning::Conflict => self.bid.lost(),
            Err(refusal) => return Err(refusal),
        }
        Ok(())
    }

    async fn put(&self, lease: Value) -> Result<(), Refusal> {
        let path = address::with(&format!("{}/{NAME}", self.collection), &MANAGER);
        let call = Call::send(Method::PUT, path, Content::Object, lease);
        self.api.call(call).await.map(drop)
    }
}

const MANAGER: [(&str, &str); 1] = [("fieldManager", crate::status::MANAGER)];

fn name(lease: &mut Value, namespace: &str) {
    let metadata = serde_json::json!({"name": NAME, "namespace": namespace});
    if let Value::Object(map) = lease {
        map.insert("metadata".to_owned(), metadata);
    }
}

/// Now, as the API server's `MicroTime`.
fn stamp() -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    OffsetDateTime::now_utc()
        .format(&format)
        .unwrap_or_default()
}
