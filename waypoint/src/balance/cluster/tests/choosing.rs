//! Ways of choosing.

use mesh::model::destination::{Distribution, HashKey, HashTable, LocalityPolicy, Warmup};

use super::*;

fn hash(table: HashTable) -> Balancing {
    Balancing::Hash {
        keys: vec![HashKey::SourceIp],
        table,
    }
}

const RING: HashTable = HashTable::Ring(1024);
const MAGLEV: HashTable = HashTable::Maglev(65_537);

fn near(found: &[u32], expected: &[u32], tolerance: u32) {
    for (found_one, expected_one) in found.iter().zip(expected) {
        let off = found_one.abs_diff(*expected_one);
        assert!(off <= tolerance, "{found:?}, expected {expected:?}");
    }
}

#[test]
fn without_endpoints_nothing_is_chosen() {
    let mut world = World::with(Balancing::LeastRequest, vec![]);
    assert_eq!(world.ask(None, &[], None).unwrap_err(), NoEndpoint::None);
    world.set(endpoints(&[0, 0]));
    let none = NoEndpoint::NoneAvailable;
    assert_eq!(world.ask(None, &[], None).unwrap_err(), none);
    let unhealthy = EndpointSpec {
        is_healthy: false,
        ..endpoint("a", 1)
    };
    world.set(vec![unhealthy]);
    assert_eq!(world.ask(None, &[], None).unwrap_err(), none);
}

#[test]
fn of_two_the_less_busy_is_chosen() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 1]));
    let held: Vec<_> = (0..100).map(|_| world.pick()).collect();
    let of_first = held.iter().filter(|p| ***p == id("e0")).count();
    assert_eq!(of_first, 50);
    drop(held);
    let table = world.cluster.table.load();
    assert!(table.members.iter().all(|m| m.endpoint.active() == 0));
}

#[test]
fn busy_endpoints_of_more_weight_take_more() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 3]));
    let held: Vec<_> = (0..400).map(|_| world.pick()).collect();
    let of_first = held.iter().filter(|p| ***p == id("e0")).count();
    assert!((95..=105).contains(&of_first), "{of_first}");
}

#[test]
fn idle_endpoints_take_by_weight_whatever_the_way() {
    let names = ["e0", "e1", "e2"];
    for (balancing, tolerance) in [
        (Balancing::LeastRequest, 150),
        (Balancing::Random, 150),
        (hash(RING), 150),
        (Balancing::RoundRobin, 1),
    ] {
        for (weights, expected) in [
            ([1, 1, 1], [2000, 2000, 2000]),
            ([1, 2, 3], [1000, 2000, 3000]),
            ([1, 0, 3], [1500, 0, 4500]),
        ] {
            let mut world = World::with(balancing.clone(), endpoints(&weights));
            near(&world.shares(&names, 6000), &expected, tolerance);
        }
    }
}

#[test]
fn turns_go_on_over_updates() {
    let mut world = World::with(Balancing::RoundRobin, endpoints(&[1, 1]));
    let first = world.pick();
    world.set(endpoints(&[2, 2]));
    assert_ne!(*first, *world.pick());
}

#[test]
fn a_list_that_says_nothing_new_changes_nothing() {
    let world = World::with(Balancing::RoundRobin, endpoints(&[1, 2, 3]));
    let before = world.cluster.table.load_full();
    let mut again = endpoints(&[1, 2, 3]);
    again.reverse();
    world.set(again);
    assert!(Arc::ptr_eq(&before, &world.cluster.table.load_full()));
    let changes: [fn(&mut EndpointSpec); 5] = [
        |e| e.weight = 9,
        |e| e.is_healthy = false,
        |e| e.locality.zone = "z".into(),
        |e| e.labels = Arc::new([("a".into(), "b".into())]),
        |e| e.id = id("other"),
    ];
    for change in changes {
        world.set(endpoints(&[1, 2, 3]));
        let before = world.cluster.table.load_full();
        let mut changed = endpoints(&[1, 2, 3]);
        change(&mut changed[1]);
        world.set(changed);
        assert!(!Arc::ptr_eq(&before, &world.cluster.table.load_full()));
    }
}

#[test]
fn one_hash_goes_to_one_endpoint_and_moves_only_when_it_must() {
    for table in [RING, MAGLEV] {
        let mut world = World::with(hash(table), endpoints(&[1; 10]));
        let ask = |world: &mut World, n: u64| {
            let hash = twox_hash::XxHash64::oneshot(0, &n.to_le_bytes());
            (*world.ask(Some(hash), &[], None).unwrap()).clone()
        };
        let before: Vec<_> = (0..2000).map(|n| ask(&mut world, n)).collect();
        let again: Vec<_> = (0..2000).map(|n| ask(&mut world, n)).collect();
        assert_eq!(before, again);
        let without = endpoints(&[1; 10]).into_iter().filter(|e| e.id != id("e4"));
        world.set(without.collect());
        let after: Vec<_> = (0..2000).map(|n| ask(&mut world, n)).collect();
        let pairs = before.iter().zip(&after);
        let moved = pairs.filter(|(b, a)| **b != id("e4") && b != a).count();
        let most = if table == RING { 0 } else { 60 };
        assert!(moved <= most, "{table:?}: {moved}");
        let gone = before.iter().filter(|b| **b == id("e4")).count();
        assert!((120..280).contains(&gone), "{table:?}: {gone}");
    }
}

#[test]
fn a_hash_stays_on_a_retry_but_others_go_elsewhere() {
    let tried = [id("e0"), id("e1")];
    let mut world = World::with(hash(RING), endpoints(&[1; 3]));
    let first = world.ask(Some(7), &[], None).unwrap();
    let tried_it = [(*first).clone()];
    assert_eq!(*world.ask(Some(7), &tried_it, None).unwrap(), *first);
    for balancing in [
        Balancing::LeastRequest,
        Balancing::RoundRobin,
        Balancing::Random,
        hash(RING),
    ] {
        let mut world = World::with(balancing.clone(), endpoints(&[1; 3]));
        for _ in 0..100 {
            let picked = world.ask(None, &tried, None).unwrap();
            assert_eq!(*picked, id("e2"), "{balancing:?}");
        }
        world.set(endpoints(&[1; 2]));
        assert!(world.ask(None, &tried, None).is_ok(), "{balancing:?}");
    }
}

#[test]
fn a_session_goes_to_its_endpoint_while_that_takes_requests() {
    let session = Some(id("e1").key());
    let mut world = World::with(Balancing::RoundRobin, endpoints(&[1; 3]));
    for _ in 0..5 {
        assert_eq!(*world.ask(None, &[], session).unwrap(), id("e1"));
    }
    assert!(world.ask(None, &[], Some(12_345)).is_ok());
    let tried = [id("e1")];
    assert_ne!(*world.ask(None, &tried, session).unwrap(), id("e1"));
    world.set(endpoints(&[1, 0, 1]));
    assert_ne!(*world.ask(None, &[], session).unwrap(), id("e1"));
    world.set(endpoints(&[1]));
    assert_eq!(*world.ask(None, &[], session).unwrap(), id("e0"));
}

#[test]
fn requests_under_way_survive_updates() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 1]));
    let held: Vec<_> = (0..10).map(|_| world.pick()).collect();
    world.set(endpoints(&[1, 1, 1]));
    let new = world.pick();
    let busy: u32 = {
        let table = world.cluster.table.load();
        table.members.iter().map(|m| m.endpoint.active()).sum()
    };
    assert_eq!(busy, 11);
    drop((held, new));
}

#[test]
fn of_two_endpoints_with_one_id_the_first_counts() {
    let mut world = World::with(Balancing::RoundRobin, vec![]);
    world.set(vec![endpoint("a", 1), endpoint("a", 5), endpoint("b", 1)]);
    assert_eq!(world.shares(&["a", "b"], 10), [5, 5]);
    assert_eq!(world.cluster.counts().endpoints, 2);
}

fn local(change: impl FnOnce(&mut LocalityPolicy)) -> TrafficPolicy {
    let mut policy = TrafficPolicy::default();
    policy.locality.enabled = true;
    change(&mut policy.locality);
    policy
}

#[test]
fn the_near_go_first_and_spill_over() {
    let near_by = ["a", "b", "c", "d"].map(|name| at(name, "r", "z"));
    let far = ["x", "y"].map(|name| at(name, "q", "z"));
    let all: Vec<_> = near_by.iter().chain(&far).cloned().collect();
    let mut world = World::new(local(|_| ()), all.clone());
    let far_share = |world: &mut World| -> u32 {
        let shares = world.shares(&["a", "b", "c", "d", "x", "y"], 2000);
        shares[4..].iter().sum()
    };
    assert_eq!(far_share(&mut world), 0);
    for (unhealthy, expected) in [(1, 0), (2, 600), (3, 1300), (4, 2000)] {
        let mut all = all.clone();
        for endpoint in &mut all[..unhealthy] {
            endpoint.is_healthy = false;
        }
        world.set(all);
        near(&[far_share(&mut world)], &[expected], 100);
    }
}

#[test]
fn a_retry_may_leave_for_a_farther_level() {
    let all = vec![at("a", "r", "z"), at("b", "r", "z"), at("x", "q", "z")];
    let mut world = World::new(local(|_| ()), all);
    let mut ask = |tried: &[EndpointId]| {
        let mut random = || world.numbers.next();
        let mut question = Question::new(world.now, &mut random);
        question.tried = tried;
        question.farther = true;
        (*world.cluster.pick(question).unwrap()).clone()
    };
    assert_eq!(ask(&[id("a")]), id("x"));
    assert_ne!(ask(&[]), id("x"));
    // When every level was tried it begins anew, with what was not tried.
    assert_eq!(ask(&[id("a"), id("x")]), id("b"));
}

#[test]
fn who_is_near_changes_when_the_waypoint_learns_where_it_is() {
    let all = vec![at("a", "r", "z"), at("x", "q", "z")];
    let mut world = World::new(local(|_| ()), all);
    assert_eq!(world.shares(&["a", "x"], 10), [10, 0]);
    let place = Place {
        locality: at("", "q", "z").locality,
        ..Place::default()
    };
    world.cluster.set_place(&place.into());
    assert_eq!(world.shares(&["a", "x"], 10), [0, 10]);
}

#[test]
fn a_distribution_is_kept_by_every_way_of_choosing() {
    let all = vec![
        at("a", "r", "z"),
        at("b", "r", "y"),
        at("c", "r", "y"),
        at("x", "q", "z"),
    ];
    for balancing in [Balancing::LeastRequest, Balancing::RoundRobin, hash(MAGLEV)] {
        let mut policy = local(|locality| {
            locality.distribute = vec![Distribution {
                from: "r/z".into(),
                to: vec![("r/z".into(), 70), ("r/*".into(), 30)],
            }];
        });
        policy.balancing = balancing;
        let mut world = World::new(policy, all.clone());
        let shares = world.shares(&["a", "b", "c", "x"], 4000);
        near(&shares, &[2800, 600, 600, 0], 120);
        let mut hashed = [0; 2];
        for _ in 0..4000 {
            let hash = world.numbers.next();
            let picked = world.ask(Some(hash), &[], None).unwrap();
            hashed[usize::from(*picked != id("a"))] += 1;
        }
        near(&hashed, &[2800, 1200], 120);
    }
}

#[test]
fn a_new_endpoint_is_warmed_up() {
    for balancing in [Balancing::LeastRequest, Balancing::RoundRobin] {
        let policy = TrafficPolicy {
            balancing,
            warmup: Some(Warmup {
                duration: Duration::from_secs(100),
                minimum_percent: 10,
                aggression: 1.0,
            }),
            ..TrafficPolicy::default()
        };
        let mut world = World::new(policy, endpoints(&[1]));
        world.pass(1000);
        world.set(endpoints(&[1, 1]));
        for (seconds, part) in [(0, 0.1), (50, 0.5), (100, 1.0)] {
            let start = world.now;
            world.pass(seconds);
            let expected = (11_000.0 * part / (1.0 + part)) as u32;
            let shares = world.shares(&["e0", "e1"], 11_000);
            near(&shares[1..], &[expected], 400);
            world.now = start;
        }
    }
}

#[test]
fn warming_up_does_not_count_for_hashes_and_chance() {
    let policy = TrafficPolicy {
        balancing: Balancing::Random,
        warmup: Some(Warmup {
            duration: Duration::from_secs(100),
            minimum_percent: 1,
            aggression: 1.0,
        }),
        ..TrafficPolicy::default()
    };
    let mut world = World::new(policy, endpoints(&[1]));
    world.pass(1000);
    world.set(endpoints(&[1, 1]));
    near(&world.shares(&["e0", "e1"], 2000), &[1000, 1000], 100);
}
