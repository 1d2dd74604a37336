//! Properties that hold after any order of events, and with several threads.

use mesh::model::destination::HashTable;
use proptest::prelude::*;

use super::*;

/// Something that happens to a destination.
#[derive(Clone, Debug)]
enum Event {
    /// A request that is answered with this status, if it is answered at once.
    Request {
        hash: Option<u64>,
        status: Option<u16>,
    },
    /// The oldest request is answered.
    Answer(u16),
    /// The list changes to these weights; 9 is an unhealthy endpoint.
    List(Vec<u32>),
    /// Seconds pass.
    Pass(u64),
    /// The largest share left out changes.
    Policy(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let status = || prop_oneof![Just(200_u16), Just(500), Just(503)];
    prop_oneof![
        6 => (proptest::option::of(any::<u64>()), proptest::option::weighted(0.8, status()))
            .prop_map(|(hash, status)| Event::Request { hash, status }),
        2 => status().prop_map(Event::Answer),
        1 => proptest::collection::vec(0_u32..10, 0..8).prop_map(Event::List),
        2 => (0_u64..40).prop_map(Event::Pass),
        1 => (0_u32..=100).prop_map(Event::Policy),
    ]
}

fn balancing() -> impl Strategy<Value = Balancing> {
    let hash = |table| Balancing::Hash {
        keys: vec![],
        table,
    };
    prop_oneof![
        Just(Balancing::LeastRequest),
        Just(Balancing::RoundRobin),
        Just(Balancing::Random),
        Just(hash(HashTable::Ring(64))),
        Just(hash(HashTable::Maglev(101))),
    ]
}

fn list(weights: &[u32]) -> Vec<EndpointSpec> {
    let mut list = endpoints(weights);
    for endpoint in &mut list {
        endpoint.is_healthy = endpoint.weight != 9;
    }
    list
}

fn policy(balancing: Balancing, percent: u32) -> TrafficPolicy {
    let outlier = Outlier {
        consecutive_5xx: 2,
        ..outlier(percent)
    };
    TrafficPolicy {
        balancing,
        outlier: Some(outlier),
        ..TrafficPolicy::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens(
        balancing in balancing(),
        events in proptest::collection::vec(event(), 1..150),
    ) {
        let mut percent = 50;
        let mut world = World::new(policy(balancing.clone(), percent), list(&[1, 2, 3]));
        let mut held = std::collections::VecDeque::new();
        for event in events {
            match event {
                Event::Request { hash, status } => {
                    world.cluster.take_back(world.now);
                    let table = world.cluster.table.load_full();
                    let takes = table.members.iter().any(|m| m.is_available() && m.weight > 0);
                    let Ok(picked) = world.ask(hash, &[], None) else {
                        prop_assert!(!takes, "an available endpoint was not chosen");
                        continue;
                    };
                    let (_, member) = table.by_key(picked.key()).unwrap();
                    prop_assert!(member.is_available() && member.weight > 0);
                    match status {
                        Some(status) => picked.report(Outcome::Status(status), world.now),
                        None => held.push_back(picked),
                    }
                }
                Event::Answer(status) => {
                    if let Some(picked) = held.pop_front() {
                        picked.report(Outcome::Status(status), world.now);
                    }
                }
                Event::List(weights) => world.set(list(&weights)),
                Event::Pass(seconds) => world.pass(seconds),
                Event::Policy(new) => {
                    percent = new;
                    world.cluster.set_policy(policy(balancing.clone(), new), world.now);
                }
            }
            let counts = world.cluster.counts();
            prop_assert!(counts.ejected * 100 <= percent as usize * counts.endpoints);
            let table = world.cluster.table.load();
            let active: u32 = table.members.iter().map(|m| m.endpoint.active()).sum();
            prop_assert!(active as usize <= held.len());
        }
        let endpoints: Vec<_> = held.iter().map(|p| Arc::clone(&p.endpoint)).collect();
        drop(held);
        prop_assert!(endpoints.iter().all(|e| e.active() == 0));
    }
}

#[test]
fn workers_share_a_destination() {
    let world = World::new(policy(Balancing::RoundRobin, 50), list(&[1; 8]));
    let (cluster, now) = (&world.cluster, world.now);
    std::thread::scope(|scope| {
        for worker in 0..4_u64 {
            scope.spawn(move || {
                let mut numbers = Numbers(worker);
                for n in 0..3000_u64 {
                    let now = now + Duration::from_millis(n * 10);
                    let mut random = || numbers.next();
                    let picked = cluster.pick(Question::new(now, &mut random)).unwrap();
                    let _permit = cluster.enter_request().unwrap();
                    let failing = picked.workload().0.ends_with(['1', '3']);
                    let status = if failing { 503 } else { 200 };
                    picked.report(Outcome::Status(status), now);
                    if worker == 0 && n % 100 == 0 {
                        cluster.set_endpoints(list(&vec![1; 6 + n as usize % 3]), now);
                    }
                }
            });
        }
    });
    let counts = cluster.counts();
    assert_eq!(counts.requests, 0);
    assert!(counts.ejections >= 2, "{counts:?}");
    let table = cluster.table.load();
    assert!(table.members.iter().all(|m| m.endpoint.active() == 0));
}
