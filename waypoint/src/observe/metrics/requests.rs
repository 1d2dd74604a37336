//! `istio_request*`, `istio_response*`: requests by who talks to whom and what came of them.
//!
//! A worker finds the row of a request by the addresses of what its record shares with others: source,
//! destination, service. Only the first request of a kind compares texts and takes a lock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh::state::Reader;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::histogram::{self, Histogram};
use super::labels::{Labels, Outcome, Pairs};
use super::rules::MetricRules;
use super::series::{self, ROWS, Row, Series};
use crate::observe::record::Record;

/// All workers' rows.
#[derive(Clone, Debug, Default)]
pub struct Requests(Series<Key, Numbers>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    labels: Labels,
    outcome: Outcome,
}

impl series::Key for Key {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// Numbers of one label set on one worker, which alone writes them.
#[derive(Debug, Default)]
struct Numbers {
    count: AtomicU64,
    duration: Histogram,
    received: Histogram,
    sent: Histogram,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    count: u64,
    duration: histogram::Sum,
    received: histogram::Sum,
    sent: histogram::Sum,
    messages_received: u64,
    messages_sent: u64,
}

/// Addresses of shared values: quick to hash. They stay taken, because the found row keeps the values.
type Quick = ([usize; 4], Outcome);

/// One worker's rows, and how it finds them quickly.
#[derive(Debug)]
pub struct Counter {
    table: Arc<series::Table<Key, Numbers>>,
    quick: HashMap<Quick, Found, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Found {
    row: Arc<Row<Numbers>>,
    /// Keeps the addresses of the quick key from being given to others.
    _labels: Labels,
}

fn add(to: &AtomicU64, value: u64) {
    // A single writer, the worker: no read-modify-write needed.
    to.store(
        to.load(Ordering::Relaxed).saturating_add(value),
        Ordering::Relaxed,
    );
}

impl Counter {
    /// Counts a request.
    pub fn count(&mut self, record: &Record, rules: &Option<Arc<MetricRules>>) {
        let outcome = Outcome {
            is_grpc: record.asked.is_grpc,
            status: record.answered.status,
            grpc_status: record.answered.grpc_status,
            flags: record.answered.flags,
        };
        let addresses = [
            Arc::as_ptr(&record.source).addr(),
            Arc::as_ptr(&record.destination).addr(),
            Arc::as_ptr(&record.service).addr(),
            rules.as_ref().map_or(0, |rules| Arc::as_ptr(rules).addr()),
        ];
        let quick = (addresses, outcome);
        let now = record.ended();
        if let Some(found) = self.quick.get(&quick)
            && !found.row.is_gone()
        {
            self.table.touch(&found.row, now);
            found.row.numbers.add(record);
            return;
        }
        let labels = Labels {
            source: Arc::clone(&record.source),
            destination: Arc::clone(&record.destination),
            service: Arc::clone(&record.service),
            rules: rules.clone(),
        };
        let key = Key { labels, outcome };
        let row = self.table.row(&key, now);
        row.numbers.add(record);
        if self.quick.len() >= ROWS {
            self.quick.clear();
        }
        let found = Found {
            row,
            _labels: key.labels,
        };
        self.quick.insert(quick, found);
    }
}

impl Numbers {
    fn add(&self, record: &Record) {
        let (asked, answered) = (&record.asked.size, &record.answered.size);
        add(&self.count, 1);
        let duration = u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX);
        self.duration.observe(duration);
        self.received.observe(asked.total().saturating_mul(1000));
        self.sent.observe(answered.total().saturating_mul(1000));
        if record.asked.is_grpc {
            add(&self.messages_received, asked.messages);
            add(&self.messages_sent, answered.messages);
        }
    }

    fn add_to(&self, sum: &mut Sum) {
        let plus = |sum: &mut u64, value: &AtomicU64| {
            *sum = sum.saturating_add(value.load(Ordering::Relaxed));
        };
        plus(&mut sum.count, &self.count);
        plus(&mut sum.messages_received, &self.messages_received);
        plus(&mut sum.messages_sent, &self.messages_sent);
        self.duration.add_to(&mut sum.duration);
        self.received.add_to(&mut sum.received);
        self.sent.add_to(&mut sum.sent);
    }
}

impl Sum {
    fn merge(&mut self, other: &Sum) {
        self.count = self.count.saturating_add(other.count);
        let messages = self.messages_received;
        self.messages_received = messages.saturating_add(other.messages_received);
        self.messages_sent = self.messages_sent.saturating_add(other.messages_sent);
        self.duration.merge(&other.duration);
        self.received.merge(&other.received);
        self.sent.merge(&other.sent);
    }
}

type CounterOf = (&'static str, &'static str, bool, fn(&Sum) -> u64);
type HistogramOf = (&'static str, &'static str, fn(&Sum) -> &histogram::Sum);

/// Name without `_total`, meaning, whether only for gRPC, number.
const COUNTERS: [CounterOf; 3] = [
    ("istio_requests", "Requests", false, |sum| sum.count),
    (
        "istio_request_messages",
        "gRPC messages from clients",
        true,
        |sum| sum.messages_received,
    ),
    (
        "istio_response_messages",
        "gRPC messages to clients",
        true,
        |sum| sum.messages_sent,
    ),
];

const HISTOGRAMS: [HistogramOf; 3] = [
    (
        "istio_request_duration_milliseconds",
        "From the head of a request to the end of its answer",
        |sum| &sum.duration,
    ),
    (
        "istio_request_bytes",
        "Size of requests, heads included",
        |sum| &sum.received,
    ),
    (
        "istio_response_bytes",
        "Size of answers, heads included",
        |sum| &sum.sent,
    ),
];

impl Requests {
    /// Rows for one more worker.
    pub fn counter(&self) -> Counter {
        Counter {
            table: self.0.table(),
            quick: HashMap::default(),
        }
    }

    /// From now on this picture of the mesh says whose rows may go.
    pub fn follow(&self, state: Reader) {
        self.0.follow(state);
    }

    /// How many different rows there are.
    pub fn rows(&self) -> usize {
        self.0.rows()
    }

    #[cfg(test)]
    pub(super) fn forget_the_dead(
        &self,
        snapshot: &mesh::state::Snapshot,
        now: std::time::Instant,
    ) {
        self.0.forget_the_dead(snapshot, now);
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.forget_before_showing();
        let sums = self.0.sums(Numbers::add_to);
        for (name, help, only_grpc, value) in COUNTERS {
            let rows = rows(&sums, name, only_grpc);
            let mut all = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (pairs, sum) in rows {
                ConstCounter::new(value(&sum)).encode(all.encode_family(&pairs.as_slice())?)?;
            }
        }
        for (name, help, value) in HISTOGRAMS {
            let rows = rows(&sums, name, false);
            let mut all = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            for (pairs, sum) in rows {
                value(&sum).encode(all.encode_family(&pairs.as_slice())?)?;
            }
        }
        Ok(())
    }
}

/// The rows of one metric, after the user's changes, which can make labels of different rows equal.
fn rows<'a>(sums: &'a HashMap<Key, Sum>, name: &str, only_grpc: bool) -> BTreeMap<Pairs<'a>, Sum> {
    let mut rows: BTreeMap<Pairs<'a>, Sum> = BTreeMap::new();
    for (key, sum) in sums {
        if only_grpc && !key.outcome.is_grpc {
            continue;
        }
        let pairs = key.labels.of_request(&key.outcome);
        let pairs = match &key.labels.rules {
            Some(rules) => rules.apply(name, pairs),
            None => Some(pairs),
        };
        if let Some(pairs) = pairs {
            rows.entry(pairs).or_default().merge(sum);
        }
    }
    rows
}
