//! `istio_tcp_*`: connections of opaque bytes by who talks to whom.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mesh::relay::Totals;
use mesh::state::Reader;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::labels::{Flags, Labels, Pairs};
use super::series::{self, Row, Series};

/// All workers' rows.
#[derive(Clone, Debug, Default)]
pub struct Connections(Series<Key, Numbers>);

/// One worker's rows.
#[derive(Debug)]
pub struct Table(Arc<series::Table<Key, Numbers>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    labels: Labels,
    flags: Flags,
}

impl series::Key for Key {
    fn labels(&self) -> &Labels {
        &self.labels
    }
}

#[derive(Debug, Default)]
struct Numbers {
    opened: AtomicU64,
    closed: AtomicU64,
    bytes: Arc<Totals>,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    opened: u64,
    closed: u64,
    sent: u64,
    received: u64,
}

/// An open connection; counts its end when told how, or at the latest when dropped.
#[derive(Debug)]
pub struct Connection {
    table: Arc<series::Table<Key, Numbers>>,
    key: Key,
    row: Arc<Row<Numbers>>,
    is_closed: bool,
}

impl Table {
    /// A connection has reached its destination.
    pub fn open(&self, labels: Labels) -> Connection {
        let key = Key {
            labels,
            flags: Flags::NONE,
        };
        let row = self.0.row(&key, Instant::now());
        row.hold();
        row.numbers.opened.fetch_add(1, Ordering::Relaxed);
        Connection {
            table: Arc::clone(&self.0),
            key,
            row,
            is_closed: false,
        }
    }
}

impl Connection {
    /// Where its bytes are counted while they flow; the client's stream is the first of the two.
    pub fn bytes(&self) -> Arc<Totals> {
        Arc::clone(&self.row.numbers.bytes)
    }

    /// It has ended, and how; only the first call counts.
    pub fn close(&mut self, flags: Flags) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let now = Instant::now();
        let closed = |row: &Row<Numbers>| row.numbers.closed.fetch_add(1, Ordering::Relaxed);
        if flags.is_empty() {
            closed(&self.row);
        } else {
            self.key.flags = flags;
            closed(&self.table.row(&self.key, now));
        }
        self.table.touch(&self.row, now);
        self.row.let_go();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close(Flags::NONE);
    }
}

type Metric = (&'static str, &'static str, fn(&Sum) -> u64);

/// Names, meanings and numbers. Sent and received are the destination's words.
const METRICS: [Metric; 4] = [
    (
        "istio_tcp_connections_opened",
        "Connections that were opened",
        |sum| sum.opened,
    ),
    (
        "istio_tcp_connections_closed",
        "Connections that were opened and have ended",
        |sum| sum.closed,
    ),
    (
        "istio_tcp_sent_bytes",
        "Bytes from the destination to the source",
        |sum| sum.sent,
    ),
    (
        "istio_tcp_received_bytes",
        "Bytes from the source to the destination",
        |sum| sum.received,
    ),
];

impl Numbers {
    fn add_to(&self, sum: &mut Sum) {
        let plus = |sum: &mut u64, value: &AtomicU64| {
            *sum = sum.saturating_add(value.load(Ordering::Relaxed));
        };
        plus(&mut sum.opened, &self.opened);
        plus(&mut sum.closed, &self.closed);
        plus(&mut sum.sent, &self.bytes.received);
        plus(&mut sum.received, &self.bytes.sent);
    }
}

impl Sum {
    fn merge(&mut self, other: &Sum) {
        for (to, from) in [
            (&mut self.opened, other.opened),
            (&mut self.closed, other.closed),
            (&mut self.sent, other.sent),
            (&mut self.received, other.received),
        ] {
            *to = to.saturating_add(from);
        }
    }
}

impl Connections {
    /// Rows for one more worker.
    pub fn table(&self) -> Arc<Table> {
        Arc::new(Table(self.0.table()))
    }

    /// From now on this picture of the mesh says whose rows may go.
    pub fn follow(&self, state: Reader) {
        self.0.follow(state);
    }

    /// How many different rows there are.
    pub fn rows(&self) -> usize {
        self.0.rows()
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.forget_before_showing();
        let sums = self.0.sums(Numbers::add_to);
        for (name, help, value) in METRICS {
            let rows = rows(&sums, name);
            let mut all = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (pairs, sum) in rows {
                ConstCounter::new(value(&sum)).encode(all.encode_family(&pairs.as_slice())?)?;
            }
        }
        Ok(())
    }
}

fn rows<'a>(sums: &'a HashMap<Key, Sum>, name: &str) -> BTreeMap<Pairs<'a>, Sum> {
    let mut rows: BTreeMap<Pairs<'a>, Sum> = BTreeMap::new();
    for (key, sum) in sums {
        let pairs = key.labels.of_connection(key.flags);
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
