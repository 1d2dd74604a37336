//! Numbers by labels, one table per worker, added up when somebody looks.
//!
//! Rows stay bounded. A row that nobody holds is removed once it was not used for [`UNUSED`] and its
//! destination is gone from the mesh, or for [`FORGOTTEN`] where the source is not known to live: a
//! waypoint is not told of its clients. When a table is full, the rows that were not used for the
//! longest time go first. A row that comes back starts at zero, as after a restart.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mesh::state::{Reader, Snapshot};

use super::labels::Labels;

/// How long a row of a workload that is gone stays without use: some scrapes must see its end.
pub const UNUSED: Duration = Duration::from_secs(5 * 60);
/// How long a row of a client stays without use.
pub const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// Rows of one worker.
pub const ROWS: usize = 8192;

/// What rows are told apart by.
pub trait Key: Clone + Eq + Hash {
    /// The part that says who talks to whom.
    fn labels(&self) -> &Labels;
}

type Rows<K, V> = HashMap<K, Arc<Row<V>>, foldhash::fast::RandomState>;

type Tables<K, V> = Vec<Arc<Table<K, V>>>;

/// All workers' tables.
#[derive(Debug)]
pub struct Series<K, V> {
    tables: Arc<Mutex<Tables<K, V>>>,
    /// Tells who lives.
    state: Arc<OnceLock<Reader>>,
}

/// One worker's table.
#[derive(Debug)]
pub struct Table<K, V> {
    rows: Mutex<Rows<K, V>>,
    start: Instant,
}

/// Numbers of one label set on one worker.
#[derive(Debug)]
pub struct Row<V> {
    /// The numbers.
    pub numbers: V,
    /// Who holds it.
    held: AtomicU64,
    /// When it was used last, in milliseconds since the table's start.
    used: AtomicU64,
    is_gone: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V> Clone for Series<K, V> {
    fn clone(&self) -> Self {
        Self {
            tables: Arc::clone(&self.tables),
            state: Arc::clone(&self.state),
        }
    }
}

impl<K, V> Default for Series<K, V> {
    fn default() -> Self {
        Self {
            tables: Arc::default(),
            state: Arc::default(),
        }
    }
}

impl<K: Key, V: Default> Series<K, V> {
    /// A table for one more worker.
    pub fn table(&self) -> Arc<Table<K, V>> {
        let table = Arc::new(Table {
            rows: Mutex::default(),
            start: Instant::now(),
        });
        locked(&self.tables).push(Arc::clone(&table));
        table
    }

    /// From now on this picture of the mesh says whose rows may go.
    pub fn follow(&self, state: Reader) {
        let _ = self.state.set(state);
    }

    /// Removes what is due.
    pub fn forget_before_showing(&self) {
        if let Some(state) = self.state.get() {
            self.forget_the_dead(&state.snapshot(), Instant::now());
        }
    }

    /// Removes rows that are not in use any more and whose ends are gone from `snapshot`.
    pub fn forget_the_dead(&self, snapshot: &Snapshot, now: Instant) {
        let tables = locked(&self.tables);
        let mut guards: Vec<_> = tables
            .iter()
            .map(|table| (table.start, locked(&table.rows)))
            .collect();
        // A row of one table stays while any table uses it: the sum must not fall.
        let mut last_use: HashMap<K, Duration> = HashMap::new();
        let mut has_idle = false;
        for (start, rows) in &guards {
            for (key, row) in rows.iter() {
                let idle = row.idle(*start, now);
                has_idle |= idle >= UNUSED;
                let known = last_use.entry(key.clone()).or_insert(idle);
                *known = idle.min(*known);
            }
        }
        if !has_idle {
            return;
        }
        let living: HashSet<(&str, &str)> = snapshot
            .workloads()
            .map(|it| (&**it.namespace(), &**it.workload_name()))
            .collect();
        let stays = |key: &K| {
            let idle = last_use.get(key).copied().unwrap_or_default();
            let lives =
                |who: &super::labels::Party| living.contains(&(&*who.namespace, &*who.workload));
            let Labels {
                source,
                destination,
                ..
            } = key.labels();
            let destination_lives = destination.workload.is_empty() || lives(destination);
            let source_lives = source.workload.is_empty() || lives(source);
            (destination_lives || idle < UNUSED) && (source_lives || idle < FORGOTTEN)
        };
        for (_, rows) in &mut guards {
            rows.retain(|key, row| stays(key) || row.is_left());
        }
    }

    /// How many different rows there are.
    pub fn rows(&self) -> usize {
        self.sums(|_, (): &mut ()| ()).len()
    }

    /// Adds the rows of all tables up, by their labels.
    pub fn sums<S: Default>(&self, add: impl Fn(&V, &mut S)) -> HashMap<K, S> {
        let tables = locked(&self.tables);
        let mut sums: HashMap<K, S> = HashMap::new();
        for table in tables.iter() {
            for (key, row) in locked(&table.rows).iter() {
                add(&row.numbers, sums.entry(key.clone()).or_default());
            }
        }
        sums
    }
}

impl<K: Key, V: Default> Table<K, V> {
    /// The row of this key.
    pub fn row(&self, key: &K, now: Instant) -> Arc<Row<V>> {
        let mut rows = locked(&self.rows);
        if let Some(row) = rows.get(key) {
            self.touch(row, now);
            return Arc::clone(row);
        }
        if rows.len() >= ROWS {
            make_room(&mut rows);
        }
        let row = Arc::new(Row {
            numbers: V::default(),
            held: AtomicU64::new(0),
            used: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
        });
        self.touch(&row, now);
        rows.insert(key.clone(), Arc::clone(&row));
        row
    }

    /// Says that the row is in use.
    pub fn touch(&self, row: &Row<V>, now: Instant) {
        let since = now.saturating_duration_since(self.start).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        row.used.store(since, Ordering::Relaxed);
    }
}

/// Drops the half of the rows that nobody holds and that was not used for the longest time.
fn make_room<K, V>(rows: &mut Rows<K, V>) {
    let used = |row: &Row<V>| row.used.load(Ordering::Relaxed);
    let free = |row: &Row<V>| row.held.load(Ordering::Relaxed) == 0;
    let mut unused: Vec<u64> = rows
        .values()
        .filter(|row| free(row))
        .map(|row| used(row))
        .collect();
    unused.sort_unstable();
    if let Some(until) = unused.get(unused.len() / 2).copied() {
        let mut surplus = unused.len().div_ceil(2);
        rows.retain(|_, row| {
            let goes = free(row) && used(row) <= until && surplus > 0;
            if goes {
                surplus -= 1;
                row.is_gone.store(true, Ordering::Relaxed);
            }
            !goes
        });
    }
}

impl<V> Row<V> {
    /// Somebody holds it: it is not removed before [`Row::let_go`].
    pub fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// The other end of [`Row::hold`].
    pub fn let_go(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it was removed: what is added to it now is lost.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    fn idle(&self, start: Instant, now: Instant) -> Duration {
        if self.held.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let used = start + Duration::from_millis(self.used.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    /// Says of a row that is about to be removed that it is gone; whether it stays after all.
    fn is_left(&self) -> bool {
        let stays = self.held.load(Ordering::Relaxed) > 0;
        self.is_gone.store(!stays, Ordering::Relaxed);
        stays
    }
}
