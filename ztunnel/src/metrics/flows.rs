//! `istio_tcp_*`: connections and bytes by who talks to whom. Names: docs/compat.md#metrics.
//!
//! Every worker counts in a table of its own: a connection looks its row up when it opens and when it
//! ends, and in between adds to numbers that nobody else writes. The page adds the tables up.
//!
//! Rows stay bounded: a row without a connection is removed once it was not used for [`UNUSED`] and
//! one of its workloads is gone from the mesh; and when a table is full, the rows that were not used
//! for the longest time go first. A row that comes back starts at zero, as after a restart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mesh::flow::Direction;
use mesh::relay::Totals;
use mesh::state::{Reader, Snapshot};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labels::{Labels, reporter};

#[cfg(test)]
mod tests;

/// How long a row of a workload that is gone stays without use: some scrapes must see its end.
pub const UNUSED: Duration = Duration::from_secs(5 * 60);
/// Rows of one worker.
pub const ROWS: usize = 8192;
/// The flag of a connection that ended well or is open. Source: docs/compat.md#response-flags.
const WELL: &str = "-";

type Key = (Arc<Labels>, &'static str);
type Rows = HashMap<Key, Arc<Row>, foldhash::fast::RandomState>;

/// All workers' tables.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    tables: Arc<Mutex<Vec<Arc<Table>>>>,
    /// Tells who lives.
    state: Arc<OnceLock<Reader>>,
}

/// One worker's table.
#[derive(Debug, Default)]
pub struct Table {
    rows: Mutex<Rows>,
    /// Accepted connections that are open: outbound, inbound.
    sockets: [AtomicU64; 2],
}

/// Numbers of one label set on one worker.
#[derive(Debug)]
struct Row {
    opened: AtomicU64,
    closed: AtomicU64,
    failed: AtomicU64,
    /// Connections that hold this row.
    live: AtomicU64,
    bytes: Arc<Totals>,
    used: Mutex<Instant>,
}

/// An open connection's row; says that it has closed when told how, or at the latest when dropped.
#[derive(Debug)]
pub struct Counted {
    table: Arc<Table>,
    labels: Arc<Labels>,
    row: Arc<Row>,
    is_closed: bool,
}

/// An accepted connection, counted while this is alive.
#[derive(Debug)]
pub struct Socket {
    table: Arc<Table>,
    direction: Direction,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Flows {
    /// A table for one more worker.
    pub fn table(&self) -> Arc<Table> {
        let table = Arc::new(Table::default());
        locked(&self.tables).push(Arc::clone(&table));
        table
    }

    /// From now on this picture of the mesh says whose rows may go.
    pub fn follow(&self, state: Reader) {
        let _ = self.state.set(state);
    }

    /// Removes what is due.
    pub fn forget_before_showing(&self) {
        if let Some(state) = self.state.get()
            && let Some(since) = Instant::now().checked_sub(UNUSED)
        {
            self.forget_the_dead(&state.snapshot(), since);
        }
    }

    /// Removes rows that nobody used since `since` and whose workload is gone.
    pub fn forget_the_dead(&self, snapshot: &Snapshot, since: Instant) {
        let tables = locked(&self.tables);
        let mut guards: Vec<_> = tables.iter().map(|table| locked(&table.rows)).collect();
        let idle = |row: &Row| row.live.load(Ordering::Relaxed) == 0 && *locked(&row.used) <= since;
        // A row of one table stays while any table uses it: the sum must not fall.
        let mut in_use: HashSet<Key> = HashSet::new();
        let mut has_idle = false;
        for (key, row) in guards.iter().flat_map(|rows| rows.iter()) {
            match idle(row) {
                true => has_idle = true,
                false => drop(in_use.insert(key.clone())),
            }
        }
        if !has_idle {
            return;
        }
        let living: HashSet<(&str, &str)> = snapshot
            .workloads()
            .map(|it| (&**it.namespace(), &**it.workload_name()))
            .collect();
        let lives = |who: &super::labels::Who| {
            who.workload.is_empty() || living.contains(&(&*who.namespace, &*who.workload))
        };
        for rows in &mut guards {
            rows.retain(|key, _| {
                in_use.contains(key) || (lives(&key.0.source) && lives(&key.0.destination))
            });
        }
    }

    /// How many different rows there are.
    pub fn rows(&self) -> usize {
        let tables = locked(&self.tables);
        let mut keys = HashSet::new();
        for table in tables.iter() {
            keys.extend(locked(&table.rows).keys().cloned());
        }
        keys.len()
    }

    fn sums(&self) -> BTreeMap<Vec<String>, (Key, Sum)> {
        let tables = locked(&self.tables);
        let mut sums: BTreeMap<Vec<String>, (Key, Sum)> = BTreeMap::new();
        for table in tables.iter() {
            for (key, row) in locked(&table.rows).iter() {
                let pairs = key.0.pairs(key.1);
                let sorted = pairs.into_iter().map(|(_, value)| value.into_owned());
                let (_, sum) = sums
                    .entry(sorted.collect())
                    .or_insert_with(|| (key.clone(), Sum::default()));
                sum.add(row);
            }
        }
        sums
    }

    /// Writes all of them.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let sums = self.sums();
        for (name, help, value) in METRICS {
            let mut all = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for ((labels, flag), sum) in sums.values() {
                if let Some(value) = value(sum) {
                    let pairs = labels.pairs(flag);
                    ConstCounter::new(value).encode(all.encode_family(&pairs)?)?;
                }
            }
        }
        let mut sockets = encoder.encode_descriptor(
            "istio_tcp_sockets_open",
            "Accepted connections that are open",
            None,
            MetricType::Gauge,
        )?;
        for direction in [Direction::Outbound, Direction::Inbound] {
            let tables = locked(&self.tables);
            let of_table = |table: &Arc<Table>| table.sockets(direction).load(Ordering::Relaxed);
            let open: u64 = tables.iter().map(of_table).sum();
            let open = i64::try_from(open).unwrap_or(i64::MAX);
            let pairs = [("reporter", reporter(direction))];
            ConstGauge::new(open).encode(sockets.encode_family(&pairs)?)?;
        }
        Ok(())
    }
}

type Metric = (&'static str, &'static str, fn(&Sum) -> Option<u64>);

/// Names, meanings, and where the numbers come from. Sent and received are the destination's words.
const METRICS: [Metric; 5] = [
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
    (
        "istio_tcp_connections_failed",
        "Connections that were never opened",
        |sum| sum.failed,
    ),
];

/// One row of the page; what never happened is not written.
#[derive(Debug, Default)]
struct Sum {
    opened: Option<u64>,
    closed: Option<u64>,
    failed: Option<u64>,
    sent: Option<u64>,
    received: Option<u64>,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        let plus = |sum: &mut Option<u64>, value: &AtomicU64| {
            *sum = Some(sum.unwrap_or(0) + value.load(Ordering::Relaxed));
        };
        for (sum, value) in [
            (&mut self.opened, &row.opened),
            (&mut self.closed, &row.closed),
            (&mut self.failed, &row.failed),
        ] {
            if value.load(Ordering::Relaxed) > 0 {
                plus(sum, value);
            }
        }
        if row.opened.load(Ordering::Relaxed) > 0 {
            // The destination sends what comes from the second stream, at both doors.
            plus(&mut self.sent, &row.bytes.received);
            plus(&mut self.received, &row.bytes.sent);
        }
    }
}

impl Table {
    /// A connection has reached its destination: counts it, and keeps its row at hand.
    pub fn open(self: &Arc<Self>, labels: Labels) -> Counted {
        let labels = Arc::new(labels);
        let row = self.row(&labels, WELL);
        row.opened.fetch_add(1, Ordering::Relaxed);
        Counted {
            table: Arc::clone(self),
            labels,
            row,
            is_closed: false,
        }
    }

    /// A connection never reached its destination.
    pub fn fail(&self, labels: Labels, flag: &'static str) {
        let row = self.row(&Arc::new(labels), flag);
        row.failed.fetch_add(1, Ordering::Relaxed);
        row.leave();
    }

    /// A connection was accepted.
    pub fn socket(self: &Arc<Self>, direction: Direction) -> Socket {
        self.sockets(direction).fetch_add(1, Ordering::Relaxed);
        Socket {
            table: Arc::clone(self),
            direction,
        }
    }

    fn sockets(&self, direction: Direction) -> &AtomicU64 {
        let [outbound, inbound] = &self.sockets;
        match direction {
            Direction::Outbound => outbound,
            Direction::Inbound => inbound,
        }
    }

    /// The row of these labels, held.
    fn row(&self, labels: &Arc<Labels>, flag: &'static str) -> Arc<Row> {
        let mut rows = locked(&self.rows);
        let key = (Arc::clone(labels), flag);
        if let Some(row) = rows.get(&key) {
            row.live.fetch_add(1, Ordering::Relaxed);
            return Arc::clone(row);
        }
        if rows.len() >= ROWS {
            make_room(&mut rows);
        }
        let row = Arc::new(Row::held());
        rows.insert(key, Arc::clone(&row));
        row
    }
}

/// Drops the half of the rows without a connection that was not used for the longest time.
fn make_room(rows: &mut Rows) {
    let idle = |row: &Row| row.live.load(Ordering::Relaxed) == 0;
    let unused = rows.values().filter(|row| idle(row));
    let mut unused: Vec<Instant> = unused.map(|row| *locked(&row.used)).collect();
    unused.sort_unstable();
    if let Some(until) = unused.get(unused.len() / 2) {
        rows.retain(|_, row| !idle(row) || *locked(&row.used) > *until);
    }
}

impl Row {
    fn held() -> Self {
        Self {
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            live: AtomicU64::new(1),
            bytes: Arc::default(),
            used: Mutex::new(Instant::now()),
        }
    }

    fn leave(&self) {
        *locked(&self.used) = Instant::now();
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counted {
    /// Where its bytes are counted while they flow.
    pub fn bytes(&self) -> Arc<Totals> {
        Arc::clone(&self.row.bytes)
    }

    /// It has ended, and how; only the first call counts.
    pub fn close(&mut self, flag: &'static str) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        if flag == WELL {
            self.row.closed.fetch_add(1, Ordering::Relaxed);
        } else {
            let row = self.table.row(&self.labels, flag);
            row.closed.fetch_add(1, Ordering::Relaxed);
            row.leave();
        }
        self.row.leave();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.close(WELL);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let open = self.table.sockets(self.direction);
        open.fetch_sub(1, Ordering::Relaxed);
    }
}
