//! Elections in simulated time: a lease in memory, replicas whose requests are lost, late, refused or answered in vain.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::{Bid, DURATION, HOLD, Next};

/// The server's lease with optimistic concurrency.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
}

impl Server {
    fn write(&mut self, next: Next) -> bool {
        let mut lease = match (next, &self.lease) {
            (Next::Create(lease), None) => lease,
            (Next::Replace(lease), Some(live)) if lease["version"] == live["version"] => lease,
            _ => return false,
        };
        self.version += 1;
        lease["version"] = self.version.into();
        self.lease = Some(lease);
        true
    }
}

struct Replica {
    bid: Bid,
    /// When it looks next.
    wakes: Duration,
    /// A write on its way: when it arrives, when it was begun, and whether the answer comes back.
    under_way: Option<(Duration, Duration, bool, Next)>,
    /// How long nothing of it gets through.
    cut_off_until: Duration,
}

const STEP: Duration = Duration::from_millis(100);

#[test]
fn whatever_is_lost_late_or_refused_two_never_lead_and_one_leads_in_the_end() {
    let mut turns = 0;
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut server = Server::default();
        let replica = |index: usize| Replica {
            bid: Bid::new(&format!("r{index}")),
            wakes: Duration::ZERO,
            under_way: None,
            cut_off_until: Duration::ZERO,
        };
        let mut replicas: Vec<Replica> = (0..3).map(replica).collect();
        let mut now = Duration::ZERO;
        let mut leader = None;
        for step in 0..6000 {
            now += STEP;
            // Trouble ends before the end.
            let is_calm = step > 5000;
            for replica in &mut replicas {
                if !is_calm && random.random_bool(0.001) {
                    let seconds = random.random_range(1..60);
                    replica.cut_off_until = now + Duration::from_secs(seconds);
                }
                turn(replica, &mut server, &mut random, now, is_calm);
            }
            let leaders: Vec<usize> = (0..3).filter(|it| replicas[*it].bid.leads(now)).collect();
            assert!(leaders.len() <= 1, "seed {seed} at {now:?}: {leaders:?}");
            if let [one] = leaders[..]
                && leader != Some(one)
            {
                (leader, turns) = (Some(one), turns + 1);
            }
        }
        let leaders = replicas.iter().filter(|it| it.bid.leads(now)).count();
        assert_eq!(leaders, 1, "seed {seed}");
    }
    assert!(turns > 400, "leadership must have moved: {turns}");
}

fn turn(
    replica: &mut Replica,
    server: &mut Server,
    random: &mut StdRng,
    now: Duration,
    is_calm: bool,
) {
    if let Some((arrives, begun, is_answered, _)) = replica.under_way
        && arrives <= now
    {
        let next = replica.under_way.take().map(|it| it.3).unwrap();
        let is_done = server.write(next);
        match (is_answered, is_done) {
            (true, true) => replica.bid.held(begun),
            (true, false) => replica.bid.lost(),
            // The writer never hears of it.
            (false, _) => {}
        }
    }
    if now < replica.wakes || replica.under_way.is_some() {
        return;
    }
    replica.wakes = now + Duration::from_millis(random.random_range(1800..2200));
    let is_cut_off = now < replica.cut_off_until && !is_calm;
    if is_cut_off || (!is_calm && random.random_bool(0.1)) {
        return;
    }
    let stamp = format!("{now:?}");
    let next = replica.bid.consider(now, server.lease.as_ref(), &stamp);
    if next != Next::Nothing {
        let late = if is_calm {
            0
        } else {
            random.random_range(0..3000)
        };
        let is_answered = is_calm || random.random_bool(0.9);
        let arrives = now + Duration::from_millis(late);
        replica.under_way = Some((arrives, now, is_answered, next));
    }
}

#[test]
fn a_lease_that_is_given_back_is_taken_at_once() {
    let mut server = Server::default();
    let (mut one, mut two) = (Bid::new("one"), Bid::new("two"));
    let start = Duration::from_secs(1);
    let next = one.consider(start, None, "t1");
    assert!(server.write(next));
    one.held(start);
    assert!(one.leads(start) && one.leads(start + HOLD - STEP) && !one.leads(start + HOLD));
    let held = two.consider(start, server.lease.as_ref(), "t2");
    assert_eq!(held, Next::Nothing);
    let given = one.released(server.lease.clone().unwrap(), "t3").unwrap();
    assert!(!one.leads(start));
    assert!(server.write(Next::Replace(given)));
    let next = two.consider(start, server.lease.as_ref(), "t4");
    assert!(server.write(next));
    let spec = &server.lease.as_ref().unwrap()["spec"];
    assert_eq!(spec["holderIdentity"], json!("two"));
    assert_eq!(spec["leaseTransitions"], json!(1));
    assert_eq!(
        one.released(server.lease.clone().unwrap(), "t5"),
        None,
        "it is another's"
    );
}

#[test]
fn a_holder_that_is_silent_is_followed_after_the_leases_duration_and_not_before() {
    let mut server = Server::default();
    let (mut one, mut two) = (Bid::new("one"), Bid::new("two"));
    let next = one.consider(Duration::ZERO, None, "t1");
    server.write(next);
    let first = Duration::from_secs(100);
    for (after, expected) in [
        (Duration::ZERO, false),
        (DURATION - STEP, false),
        (DURATION, true),
    ] {
        let next = two.consider(first + after, server.lease.as_ref(), "t2");
        assert_eq!(next != Next::Nothing, expected, "{after:?}");
    }
}
