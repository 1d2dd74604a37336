//! Counting, leaving out, taking back.

use std::sync::Arc;

use mesh::model::Locality;
use mesh::names::WorkloadUid;

use super::super::endpoint::{EndpointId, EndpointSpec};
use super::*;

fn outlier() -> Outlier {
    Outlier {
        consecutive_5xx: 0,
        consecutive_gateway: 0,
        split_local: false,
        consecutive_local: 5,
        interval: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        max_ejection_percent: 100,
        min_health_percent: 0,
    }
}

fn members(count: usize) -> Vec<Member> {
    let member = |n: usize| {
        let id = EndpointId::new(WorkloadUid(format!("e{n}").into()), 80);
        let spec = EndpointSpec {
            id: id.clone(),
            weight: 1,
            locality: Locality::default(),
            labels: Arc::new([]),
            is_healthy: true,
        };
        Member::new(spec, Arc::new(Endpoint::new(id, 0)))
    };
    (0..count).map(member).collect()
}

/// At which of the outcomes (from 1) the endpoint should be left out; `None` at none.
fn trips_at(outlier: &Outlier, outcomes: &[Outcome]) -> Option<usize> {
    let members = members(1);
    let mut outcomes = outcomes.iter();
    let trips = |o: &Outcome| count(&members[0].endpoint, *o, Some(outlier));
    outcomes.position(trips).map(|at| at + 1)
}

use LocalFailure::{Connect, Reset, Timeout};
use Outcome::{Connected, Grpc, Local, Status};

#[test]
fn any_5xx_counts_and_so_do_local_failures() {
    let any = Outlier {
        consecutive_5xx: 3,
        ..outlier()
    };
    for (outcomes, expected) in [
        (vec![Status(500), Status(503), Status(599)], Some(3)),
        (
            vec![Status(500), Status(500), Status(200), Status(500)],
            None,
        ),
        (
            vec![Status(500), Status(500), Status(404), Status(500)],
            None,
        ),
        (vec![Local(Connect), Local(Timeout), Local(Reset)], Some(3)),
        (vec![Local(Connect), Status(500), Local(Reset)], Some(3)),
        (
            vec![Local(Connect), Local(Connect), Connected, Local(Connect)],
            None,
        ),
        (vec![Grpc(14), Grpc(13), Grpc(2)], Some(3)),
        (vec![Grpc(14), Grpc(13), Grpc(5), Grpc(14)], None),
    ] {
        assert_eq!(trips_at(&any, &outcomes), expected, "{outcomes:?}");
    }
}

#[test]
fn gateway_errors_are_counted_by_themselves() {
    let gateway = Outlier {
        consecutive_gateway: 3,
        ..outlier()
    };
    for (outcomes, expected) in [
        (vec![Status(502), Status(503), Status(504)], Some(3)),
        (
            vec![Status(502), Status(503), Status(500), Status(504)],
            None,
        ),
        (vec![Local(Connect), Status(503), Local(Reset)], Some(3)),
        (vec![Grpc(14), Grpc(4), Grpc(14)], Some(3)),
        (vec![Status(500); 9], None),
    ] {
        assert_eq!(trips_at(&gateway, &outcomes), expected, "{outcomes:?}");
    }
}

#[test]
fn local_failures_are_counted_by_themselves_where_split() {
    let split = Outlier {
        consecutive_5xx: 3,
        consecutive_local: 2,
        split_local: true,
        ..outlier()
    };
    for (outcomes, expected) in [
        (vec![Local(Connect), Local(Reset)], Some(2)),
        (vec![Local(Connect), Status(500), Local(Connect)], None),
        (
            vec![Status(500), Local(Connect), Status(500), Status(500)],
            Some(4),
        ),
        (vec![Local(Connect), Connected, Local(Connect)], None),
    ] {
        assert_eq!(trips_at(&split, &outcomes), expected, "{outcomes:?}");
    }
}

#[test]
fn counters_of_zero_are_off() {
    for outcome in [Status(500), Status(503), Local(Connect)] {
        assert_eq!(trips_at(&outlier(), &[outcome; 20]), None, "{outcome:?}");
    }
}

#[test]
fn without_a_policy_nothing_is_left_out() {
    let members = members(1);
    for _ in 0..100 {
        assert!(!count(&members[0].endpoint, Outcome::Status(500), None));
    }
}

#[test]
fn no_more_than_the_largest_share_is_left_out() {
    for (endpoints, percent, expected) in [
        (3, 10, 0),
        (3, 33, 0),
        (3, 34, 1),
        (2, 50, 1),
        (1, 100, 1),
        (1, 99, 0),
        (10, 10, 1),
        (10, 100, 10),
        (4, 0, 0),
        (100, 33, 33),
    ] {
        let members = members(endpoints);
        let policy = Outlier {
            max_ejection_percent: percent,
            ..outlier()
        };
        let ejected = members
            .iter()
            .filter(|m| eject(&m.endpoint, &members, &policy, 0));
        assert_eq!(ejected.count(), expected, "{endpoints} at {percent} %");
    }
}

#[test]
fn one_that_is_gone_or_already_out_is_not_left_out() {
    let all = members(2);
    assert!(!eject(&all[1].endpoint, &all[..1], &outlier(), 0));
    assert!(eject(&all[0].endpoint, &all, &outlier(), 0));
    assert!(!eject(&all[0].endpoint, &all, &outlier(), 5));
}

/// Seconds after an ejection at 0 at which the endpoint comes back, with checks every 10 s.
fn returns_after(members: &[Member], policy: &Outlier) -> u64 {
    assert!(eject(&members[0].endpoint, members, policy, 0));
    let mut at = 10_000;
    while !check(members, policy, at, 1) {
        at += 10_000;
    }
    at / 1000
}

#[test]
fn each_ejection_lasts_longer_up_to_the_longest() {
    let members = members(1);
    let policy = outlier();
    let waits: Vec<_> = (0..12).map(|_| returns_after(&members, &policy)).collect();
    assert_eq!(
        waits,
        [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    );

    let long = Outlier {
        base_ejection: Duration::from_secs(400),
        ..outlier()
    };
    let members = self::members(1);
    assert_eq!([400, 400], [0, 1].map(|_| returns_after(&members, &long)));
}

#[test]
fn it_comes_back_at_the_first_check_after_its_time() {
    let members = members(1);
    let policy = Outlier {
        base_ejection: Duration::from_secs(25),
        ..outlier()
    };
    assert_eq!(returns_after(&members, &policy), 30);
}

#[test]
fn every_clean_check_forgets_one_ejection() {
    let members = members(1);
    let policy = outlier();
    for _ in 0..3 {
        returns_after(&members, &policy);
    }
    check(&members, &policy, 10_000, 2);
    assert_eq!(returns_after(&members, &policy), 60);
    check(&members, &policy, 10_000, 100);
    assert_eq!(returns_after(&members, &policy), 30);
}

#[test]
fn many_checks_at_once_are_as_good_as_one_by_one() {
    for checks in 1..40 {
        let (one, all) = (members(1), members(1));
        let policy = outlier();
        for members in [&one, &all] {
            returns_after(members, &policy);
            returns_after(members, &policy);
            assert!(eject(&members[0].endpoint, members, &policy, 5_000));
        }
        let mut came_back = false;
        for n in 0..checks {
            came_back |= check(&one, &policy, 10_000 + n * 10_000, 1);
        }
        assert_eq!(check(&all, &policy, 10_000, checks), came_back, "{checks}");
        let ejections = |m: &[Member]| m[0].endpoint.ejections.load(Ordering::Relaxed);
        assert_eq!(ejections(&one), ejections(&all), "{checks}");
        assert_eq!(one[0].endpoint.is_ejected(), all[0].endpoint.is_ejected());
    }
}

#[test]
fn when_others_go_some_come_back_the_first_left_out_first() {
    let all = members(4);
    let half = Outlier {
        max_ejection_percent: 50,
        ..outlier()
    };
    assert!(eject(&all[1].endpoint, &all, &half, 7));
    assert!(eject(&all[0].endpoint, &all, &half, 9));
    keep_within(&all, Some(&half));
    assert!(all[0].endpoint.is_ejected() && all[1].endpoint.is_ejected());
    keep_within(&all[..3], Some(&half));
    assert!(all[0].endpoint.is_ejected() && !all[1].endpoint.is_ejected());
    keep_within(&all[..3], None);
    assert!(!all[0].endpoint.is_ejected());
}
