//! Sharing, renewal, back-off, priorities and bounds, in paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::cert::{Clock, Keeper, KeeperHandle};

const HOUR: Duration = Duration::from_secs(3600);

/// A clock that moves with tokio's paused time.
fn clock() -> Clock {
    let (start, wall) = (Instant::now(), SystemTime::now());
    Arc::new(move || wall + start.elapsed())
}

struct Inner {
    ca: Ca,
    clock: Clock,
    asked: Mutex<Vec<String>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
    /// Every answer takes one permit.
    permits: Semaphore,
    is_down: std::sync::atomic::AtomicBool,
}

/// An authority under the test's control.
#[derive(Clone)]
struct Scripted(Arc<Inner>);

impl Scripted {
    fn new(clock: &Clock, permits: usize) -> Self {
        Self(Arc::new(Inner {
            ca: Ca::new(),
            clock: Arc::clone(clock),
            asked: Mutex::default(),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            permits: Semaphore::new(permits),
            is_down: false.into(),
        }))
    }

    fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap().clone()
    }

    fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
    }
}

impl CertificateAuthority for Scripted {
    async fn sign(
        &self,
        identity: &Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> Result<Vec<String>, SignError> {
        let inner = &self.0;
        inner
            .asked
            .lock()
            .unwrap()
            .push(identity.service_account.to_string());
        let running = inner.running.fetch_add(1, Ordering::Relaxed) + 1;
        inner.most_running.fetch_max(running, Ordering::Relaxed);
        inner.permits.acquire().await.unwrap().forget();
        inner.running.fetch_sub(1, Ordering::Relaxed);
        if inner.is_down.load(Ordering::Relaxed) {
            let message = "down for a test".into();
            return Err(SignError::Status {
                code: tonic::Code::Unavailable,
                message,
            });
        }
        let not_after = (inner.clock)() + ttl;
        let leaf = Leaf {
            not_after,
            ..Leaf::of(identity)
        };
        Ok(vec![
            inner.ca.sign_request(&csr_pem, &leaf),
            inner.ca.root_pem(),
        ])
    }
}

fn start(permits: usize, settings: Settings) -> (Scripted, KeeperHandle) {
    let clock = clock();
    let authority = Scripted::new(&clock, permits);
    (authority.clone(), Keeper::start(authority, settings, clock))
}

fn settings() -> Settings {
    Settings {
        ttl: 2 * HOUR,
        ..Settings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_want_one_certificate_cost_one_request_and_later_ones_none() {
    let (authority, keeper) = start(1, settings());
    let web = web();
    let gets = futures_util::future::join_all((0..50).map(|_| keeper.get(&web))).await;
    let first = gets[0].as_ref().unwrap();
    assert!(
        gets.iter()
            .all(|got| Arc::ptr_eq(got.as_ref().unwrap(), first))
    );
    assert!(Arc::ptr_eq(&keeper.get(&web).await.unwrap(), first));
    assert_eq!(authority.asked().len(), 1);
    assert_eq!(keeper.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_at_half_its_life_and_serves_on_while_that_fails() {
    let (authority, keeper) = start(1000, settings());
    let old = keeper.get(&web()).await.unwrap();
    tokio::time::sleep(HOUR - Duration::from_secs(10)).await;
    assert_eq!(authority.asked().len(), 1);
    authority.set_down(true);
    tokio::time::sleep(Duration::from_secs(30 * 60)).await;
    assert!(authority.asked().len() > 10, "tried again and again");
    assert!(Arc::ptr_eq(&keeper.get(&web()).await.unwrap(), &old));
    assert!(keeper.list()[0].failure.is_some());
    // until it has ended
    tokio::time::sleep(HOUR).await;
    assert!(keeper.cached(&web()).is_none());
    assert!(matches!(
        &*keeper.get(&web()).await.unwrap_err(),
        Error::Sign { .. }
    ));
    authority.set_down(false);
    tokio::time::sleep(Duration::from_secs(151)).await;
    let new = keeper.get(&web()).await.unwrap();
    assert_ne!(new.serial(), old.serial());
    assert!(keeper.list()[0].failure.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_all_who_wait_and_those_who_come_before_the_next_attempt() {
    let (authority, keeper) = start(1000, settings());
    authority.set_down(true);
    let web = web();
    let gets = futures_util::future::join_all((0..20).map(|_| keeper.get(&web))).await;
    assert!(gets.iter().all(Result::is_err));
    assert!(keeper.get(&web).await.is_err());
    assert_eq!(authority.asked().len(), 1);
    authority.set_down(false);
    // the next attempt comes by itself, within a second and a fifth
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert!(keeper.cached(&web).is_some());
    assert_eq!(authority.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_requests_run_and_waiting_connections_go_first() {
    let (authority, keeper) = start(0, settings());
    let warm: Vec<_> = (0..20)
        .map(|i| identity("default", &format!("warm{i}")))
        .collect();
    for identity in &warm {
        keeper.prefetch(identity).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(authority.asked().len(), 8);
    let web = web();
    let open_gates = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        authority.0.permits.add_permits(100);
    };
    let (got, ()) = tokio::join!(keeper.get(&web), open_gates);
    got.unwrap();
    assert_eq!(authority.asked()[8], "web");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(
        warm.iter()
            .all(|identity| keeper.cached(identity).is_some())
    );
    assert_eq!(authority.0.most_running.load(Ordering::Relaxed), 8);
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_that_a_connection_waits_for_overtakes_the_others() {
    let settings = Settings {
        parallel: 1,
        ..settings()
    };
    let (authority, keeper) = start(0, settings);
    for name in ["first", "second", "third"] {
        keeper.prefetch(&identity("default", name)).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let third = identity("default", "third");
    let open_gates = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        authority.0.permits.add_permits(3);
    };
    let (got, ()) = tokio::join!(keeper.get(&third), open_gates);
    assert_eq!(got.unwrap().identity(), &third);
    assert_eq!(authority.asked()[..2], ["first", "third"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_prefetched_is_tried_for_until_it_is_there_and_what_nobody_asks_for_is_let_go() {
    let (authority, keeper) = start(1000, settings());
    authority.set_down(true);
    let (kept, asked) = (identity("default", "kept"), identity("default", "asked"));
    keeper.prefetch(&kept).await;
    assert!(keeper.get(&asked).await.is_err());
    assert!(keeper.get(&asked).await.is_err());
    // asked for once more after its attempt, so it is tried once more; then nobody asks
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked_for = |name| authority.asked().iter().filter(|it| *it == name).count();
    assert_eq!(asked_for("asked"), 2);
    assert!(asked_for("kept") > 4, "{:?}", authority.asked());
    let left: Vec<_> = keeper.list().into_iter().map(|it| it.identity).collect();
    assert_eq!(left, std::slice::from_ref(&kept));
    authority.set_down(false);
    tokio::time::sleep(Duration::from_secs(151)).await;
    assert!(keeper.cached(&kept).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_node_full_of_identities_is_certified_and_one_too_many_is_not() {
    let (authority, keeper) = start(10_000, settings());
    let limit = Settings::default().identities;
    for number in 0..=limit {
        let identity = identity("default", &format!("account-{number}"));
        keeper.prefetch(&identity).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let list = keeper.list();
    assert_eq!(list.len(), limit);
    assert!(list.iter().all(|state| state.credentials.is_some()));
    assert_eq!(authority.asked().len(), limit);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_not_renewed_and_its_waiters_are_told() {
    let (authority, keeper) = start(1, settings());
    keeper.get(&web()).await.unwrap();
    keeper.forget(&web()).await;
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(authority.asked().len(), 1);
    assert!(keeper.cached(&web()).is_none() && keeper.list().is_empty());

    let web = web();
    let forget = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        keeper.forget(&web).await;
    };
    let (got, ()) = tokio::join!(keeper.get(&web), forget);
    assert!(matches!(&*got.unwrap_err(), Error::Forgotten { .. }));
    // the answer that comes now is for nobody
    authority.0.permits.add_permits(1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(keeper.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_identities_is_bounded() {
    let (_, keeper) = start(
        100,
        Settings {
            identities: 2,
            ..settings()
        },
    );
    for name in ["a", "b"] {
        keeper.get(&identity("default", name)).await.unwrap();
    }
    let third = keeper.get(&identity("default", "c")).await;
    assert!(matches!(&*third.unwrap_err(), Error::TooMany { limit: 2 }));
    keeper.forget(&identity("default", "a")).await;
    keeper.get(&identity("default", "c")).await.unwrap();
}
