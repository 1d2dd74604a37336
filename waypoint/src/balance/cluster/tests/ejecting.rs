//! Leaving out and taking back.

use super::*;

fn world(max_ejection_percent: u32, count: usize) -> World {
    let policy = TrafficPolicy {
        outlier: Some(outlier(max_ejection_percent)),
        ..TrafficPolicy::default()
    };
    World::new(policy, endpoints(&vec![1; count]))
}

#[test]
fn an_endpoint_that_keeps_failing_gets_no_requests_for_a_time() {
    let mut world = world(50, 2);
    world.fail("e0", 4);
    assert!(world.shares(&["e0", "e1"], 100)[0] > 0);
    world.fail("e0", 1);
    assert_eq!(world.shares(&["e0", "e1"], 100), [0, 100]);
    let counts = world.cluster.counts();
    assert_eq!(
        (counts.ejected, counts.available, counts.ejections),
        (1, 1, 1)
    );
    world.pass(29);
    assert_eq!(world.shares(&["e0", "e1"], 100), [0, 100]);
    world.pass(1);
    assert!(world.shares(&["e0", "e1"], 100)[0] > 0);
    // The second time it takes twice as long.
    world.fail("e0", 5);
    world.pass(59);
    assert_eq!(world.shares(&["e0", "e1"], 100), [0, 100]);
    world.pass(10);
    assert!(world.shares(&["e0", "e1"], 100)[0] > 0);
}

#[test]
fn small_destinations_leave_none_out_by_default() {
    let mut world = world(10, 3);
    world.fail("e0", 50);
    assert_eq!(world.cluster.counts().ejected, 0);
}

#[test]
fn when_all_are_left_out_nothing_is_chosen() {
    let mut world = world(100, 1);
    world.fail("e0", 5);
    let none = NoEndpoint::NoneAvailable;
    assert_eq!(world.ask(None, &[], None).unwrap_err(), none);
    assert_eq!(
        world.ask(Some(3), &[], Some(id("e0").key())).unwrap_err(),
        none
    );
}

#[test]
fn below_the_least_health_ejections_do_not_count() {
    let policy = TrafficPolicy {
        outlier: Some(Outlier {
            min_health_percent: 50,
            ..outlier(100)
        }),
        ..TrafficPolicy::default()
    };
    let mut world = World::new(policy, endpoints(&[1; 4]));
    let names = ["e0", "e1", "e2", "e3"];
    world.fail("e0", 5);
    world.fail("e1", 5);
    let shares = world.shares(&names, 400);
    assert_eq!(shares[..2], [0, 0]);
    world.fail("e2", 5);
    assert!(world.shares(&names, 400).iter().all(|share| *share > 50));
}

#[test]
fn an_ejection_survives_updates_of_the_list() {
    let mut world = world(50, 2);
    world.fail("e0", 5);
    world.set(endpoints(&[1, 1, 1, 1]));
    assert_eq!(world.shares(&["e0", "e1", "e2", "e3"], 300)[0], 0);
    // Alone it would be more than half.
    world.set(endpoints(&[1]));
    assert_eq!(*world.pick(), id("e0"));
}

#[test]
fn without_the_policy_ejections_end() {
    let mut world = world(50, 2);
    world.fail("e0", 5);
    world
        .cluster
        .set_policy(TrafficPolicy::default(), world.now);
    assert_eq!(world.cluster.counts().ejected, 0);
    assert!(world.shares(&["e0", "e1"], 100)[0] > 0);
    world.fail("e0", 50);
    assert_eq!(world.cluster.counts().ejected, 0);
}

#[test]
fn a_new_policy_is_looked_after_from_now_on() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 1]));
    world.pass(100_000);
    let policy = TrafficPolicy {
        outlier: Some(outlier(50)),
        ..TrafficPolicy::default()
    };
    world.cluster.set_policy(policy, world.now);
    world.fail("e0", 5);
    world.pass(20);
    assert_eq!(world.shares(&["e0", "e1"], 100)[0], 0);
    world.pass(10);
    assert!(world.shares(&["e0", "e1"], 100)[0] > 0);
}

#[test]
fn a_success_between_failures_begins_the_count_anew() {
    let mut world = world(100, 1);
    for _ in 0..10 {
        world.fail("e0", 4);
        world.pick().report(Outcome::Status(200), world.now);
    }
    assert_eq!(world.cluster.counts().ejections, 0);
}

#[test]
fn the_answer_of_an_endpoint_that_is_gone_changes_nothing() {
    let mut world = world(100, 1);
    let held: Vec<_> = (0..9).map(|_| world.pick()).collect();
    world.set(vec![endpoint("other", 1)]);
    for picked in held {
        picked.report(Outcome::Status(503), world.now);
    }
    assert_eq!(world.cluster.counts().ejections, 0);
    assert_eq!(*world.pick(), id("other"));
}
