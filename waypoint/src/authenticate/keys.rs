//! The keys of issuers: fetched beside the path of requests, kept, and fetched again.
//!
//! Readers never wait for a lock. A token that names a key which the set lacks causes one more fetch, at most one in
//! ten seconds for each issuer, however many such tokens there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use mesh::lifecycle::task;
use mesh::model::attached::{JwtKeys, JwtRule};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::fetch::{self, Fetch};
use super::key_set::KeySet;
use super::token::Unverified;

/// How often keys are fetched while all is well.
const REFRESH: Duration = Duration::from_secs(20 * 60);
/// Least time between two fetches that tokens cause.
const GAP: Duration = Duration::from_secs(10);
/// First and longest wait after a fetch that failed.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Where key sets come from; one for the process.
pub struct KeyRing {
    fetch: Arc<dyn Fetch>,
    runtime: Handle,
    sources: Mutex<HashMap<Wanted, Weak<KeySource>>>,
}

/// What makes two rules share their keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    place: Place,
    timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Inline(Arc<str>),
    Url(Arc<str>),
    Discovery(Arc<str>),
}

/// The keys of one issuer.
pub struct KeySource {
    keys: ArcSwapOption<KeySet>,
    /// `None` where nothing is ever fetched.
    place: Option<Wanted>,
    progress: watch::Sender<Progress>,
    /// Shared, so that waiting for it does not hold the source.
    wanted: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    started: Option<Instant>,
    is_running: bool,
}

impl KeyRing {
    /// Fetches with `fetch` in tasks of `runtime`.
    pub fn new(fetch: Arc<dyn Fetch>, runtime: Handle) -> Self {
        Self {
            fetch,
            runtime,
            sources: Mutex::default(),
        }
    }

    /// The keys for a rule. The first one who asks starts the fetch; it ends when nobody holds the source any more.
    pub fn source(&self, rule: &JwtRule) -> Arc<KeySource> {
        let wanted = Wanted {
            place: match &rule.keys {
                JwtKeys::Inline(text) => Place::Inline(Arc::clone(text)),
                JwtKeys::Url(url) => Place::Url(Arc::clone(url)),
                JwtKeys::Discovery => Place::Discovery(Arc::clone(&rule.issuer)),
            },
            timeout: rule.fetch_timeout,
        };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.get(&wanted).and_then(Weak::upgrade) {
            return known;
        }
        sources.retain(|_, it| it.strong_count() > 0);
        let source = Arc::new(KeySource::new(&wanted));
        if source.place.is_some() {
            let keep = keep(Arc::downgrade(&source), Arc::clone(&self.fetch));
            let _entered = self.runtime.enter();
            // It ends by itself with the last holder of the source.
            drop(task::spawn("keys of an issuer", keep));
        }
        sources.insert(wanted, Arc::downgrade(&source));
        source
    }
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySource")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl KeySource {
    fn new(wanted: &Wanted) -> Self {
        let inline = match &wanted.place {
            Place::Inline(text) => Some(text),
            _ => None,
        };
        let keys = inline.and_then(|text| match KeySet::parse(text.as_bytes()) {
            Ok(keys) => Some(Arc::new(keys)),
            Err(error) => {
                let error = mesh::telemetry::report(&error);
                tracing::warn!(%error, "inline key set cannot be used: its issuer's tokens are refused");
                None
            }
        });
        Self {
            keys: ArcSwapOption::new(keys),
            place: inline.is_none().then(|| wanted.clone()),
            progress: watch::Sender::default(),
            wanted: Arc::default(),
        }
    }

    /// The newest set, after another fetch if that may bring the token's key. `None` when there never was one.
    pub(super) async fn set_with(&self, token: &Unverified<'_>) -> Option<Arc<KeySet>> {
        let keys = self.keys.load_full();
        let Some(wanted) = &self.place else {
            return keys;
        };
        let is_there = |keys: &Arc<KeySet>| keys.for_token(token).next().is_some();
        if keys.as_ref().is_some_and(is_there) {
            return keys;
        }
        let mut progress = self.progress.subscribe();
        let Progress {
            started,
            is_running,
        } = *progress.borrow_and_update();
        let is_due = started.is_none_or(|it| it.elapsed() >= GAP);
        if !is_running {
            if !is_due {
                return keys;
            }
            self.wanted.notify_one();
        }
        let ended = progress
            .wait_for(|now| !now.is_running && now.started > started.filter(|_| !is_running));
        // Too late is as good as never.
        let _ = timeout(wanted.timeout, ended).await;
        self.keys.load_full()
    }
}

impl Drop for KeySource {
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

/// Fetches for as long as somebody holds the source.
async fn keep(source: Weak<KeySource>, fetch: Arc<dyn Fetch>) {
    let mut failures = 0;
    loop {
        let Some(this) = source.upgrade() else {
            return;
        };
        let Some(wanted) = &this.place else {
            return;
        };
        let started = Instant::now();
        this.progress.send_replace(Progress {
            started: Some(started),
            is_running: true,
        });
        match load(wanted, &*fetch).await {
            Ok(keys) => {
                failures = 0;
                this.keys.store(Some(Arc::new(keys)));
            }
            Err(error) => {
                failures += 1;
                let error = mesh::telemetry::report(&error);
                tracing::warn!(place = ?wanted.place, %error, "cannot fetch an issuer's keys");
            }
        }
        this.progress.send_replace(Progress {
            started: Some(started),
            is_running: false,
        });
        let next = started + pause(failures);
        let wanted = Arc::clone(&this.wanted);
        drop(this);
        wait(&wanted, started, next, || source.strong_count() > 0).await;
    }
}

/// Until the next fetch is due.
async fn wait(wanted: &Notify, started: Instant, next: Instant, is_held: impl Fn() -> bool) {
    loop {
        let noticed = tokio::time::timeout_at(next, wanted.notified()).await;
        if noticed.is_err() || !is_held() || started.elapsed() >= GAP {
            return;
        }
    }
}

async fn load(wanted: &Wanted, fetch: &dyn Fetch) -> Result<KeySet, fetch::Error> {
    let load = async {
        let url = match &wanted.place {
            Place::Inline(_) => return Err(fetch::Error::Nowhere),
            Place::Url(url) => url.to_string(),
            Place::Discovery(issuer) => fetch::discover(fetch, issuer).await?,
        };
        let bytes = fetch.get(&url).await?;
        KeySet::parse(&bytes).map_err(fetch::Error::Keys)
    };
    let late = |_| fetch::Error::Late(wanted.timeout);
    timeout(wanted.timeout, load).await.map_err(late)?
}

/// The wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let (first, longest) = RETRY;
    match failures {
        0 => REFRESH,
        failures => first
            .saturating_mul(1 << (failures - 1).min(10))
            .min(longest),
    }
}
