//! Levels, places and loads.

use super::*;

fn locality(text: &str) -> Locality {
    let mut parts = text.split('/').map(Arc::from);
    let mut part = || parts.next().unwrap_or_default();
    Locality {
        region: part(),
        zone: part(),
        subzone: part(),
    }
}

fn labels(text: &str) -> Labels {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        (Arc::from(key), Arc::from(value))
    };
    text.split_terminator(',').map(pair).collect()
}

fn seats(policy: &LocalityPolicy, own: &str, places: &[&str]) -> Vec<Option<(usize, usize)>> {
    let place = Place {
        locality: locality(own),
        labels: labels(""),
    };
    let localities: Vec<_> = places.iter().map(|p| locality(p)).collect();
    let spots: Vec<_> = localities
        .iter()
        .map(|locality| Spot {
            locality,
            labels: &[],
        })
        .collect();
    arrange(policy, &place, &spots).seats
}

fn enabled() -> LocalityPolicy {
    LocalityPolicy {
        enabled: true,
        ..LocalityPolicy::default()
    }
}

#[test]
fn places_count_only_when_they_should() {
    let off = LocalityPolicy::default();
    assert_eq!(
        seats(&off, "r/z/s", &["r/z/s", "q"]),
        [Some((0, 0)), Some((0, 0))]
    );
}

#[test]
fn levels_go_outward_and_leave_no_gaps() {
    let level = |n| Some((n, 0));
    for (own, places, expected) in [
        (
            "r/z/s",
            vec!["r/z/s", "r/z/t", "r/y/s", "q/z/s"],
            vec![0, 1, 2, 3],
        ),
        ("r/z/s", vec!["q/z/s", "r/z/s"], vec![1, 0]),
        ("r/z/s", vec!["q/z/s", "p"], vec![0, 0]),
        ("r/z", vec!["r/z", "r/z/s", "r"], vec![0, 1, 2]),
        ("", vec!["", "r"], vec![0, 1]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(level).collect();
        assert_eq!(
            seats(&enabled(), own, &places),
            expected,
            "{own} {places:?}"
        );
    }
}

#[test]
fn a_failover_region_goes_before_other_regions() {
    let policy = LocalityPolicy {
        failover: vec![("r".into(), "q".into()), ("x".into(), "p".into())],
        ..enabled()
    };
    let levels = seats(&policy, "r/z", &["p", "q", "r/z"]);
    assert_eq!(levels, [Some((2, 0)), Some((1, 0)), Some((0, 0))]);
    let levels = seats(&policy, "other", &["p", "q"]);
    assert_eq!(levels, [Some((0, 0)), Some((0, 0))]);
}

#[test]
fn labels_make_levels_by_how_many_agree_from_the_first_on() {
    let place = Place {
        locality: locality("r/z/s"),
        labels: labels("network=n1,version=v1"),
    };
    let rank = |wanted: &[&str], own: &str, at: &str| {
        let wanted: Vec<Arc<str>> = wanted.iter().map(|w| (*w).into()).collect();
        let labels = labels(own);
        let spot = Spot {
            locality: &locality(at),
            labels: &labels,
        };
        rank_by_labels(&wanted, &place, &spot)
    };
    for (wanted, own, at, expected) in [
        (vec!["network", "version"], "network=n1,version=v1", "", 0),
        (vec!["network", "version"], "network=n1,version=v2", "", 1),
        (vec!["network", "version"], "network=n2,version=v1", "", 2),
        (vec!["network"], "", "", 1),
        (vec!["absent"], "", "", 0),
        (vec!["version=v2"], "version=v2", "", 0),
        (vec!["version=v2"], "version=v1", "", 1),
        (vec!["topology.kubernetes.io/region"], "", "r/y", 0),
        (vec!["topology.kubernetes.io/zone"], "", "r/y", 1),
        (vec!["topology.istio.io/subzone"], "", "r/y/s", 0),
    ] {
        assert_eq!(rank(&wanted, own, at), expected, "{wanted:?} {own} {at}");
    }
}

#[test]
fn a_pattern_covers_whatever_it_leaves_open() {
    for (pattern, place, expected) in [
        ("*", "r/z/s", true),
        ("r/*", "r/z/s", true),
        ("r", "r/z/s", true),
        ("r/z/*", "r/z/s", true),
        ("r/z/s", "r/z/s", true),
        ("r/z/s", "r/z/t", false),
        ("r/z", "r/y/s", false),
        ("q/*", "r/z/s", false),
        ("*/z", "r/z/s", true),
    ] {
        assert_eq!(
            covers(pattern, &locality(place)),
            expected,
            "{pattern} {place}"
        );
    }
}

#[test]
fn a_distribution_shares_among_places_and_leaves_the_rest_out() {
    let policy = LocalityPolicy {
        distribute: vec![Distribution {
            from: "r/z/*".into(),
            to: vec![("r/z/*".into(), 80), ("r/*".into(), 20)],
        }],
        ..enabled()
    };
    let found = seats(&policy, "r/z/s", &["r/z/s", "r/y", "q/z"]);
    assert_eq!(found, [Some((0, 0)), Some((0, 1)), None]);
    let elsewhere = seats(&policy, "q/z/s", &["r/z/s", "r/y", "q/z"]);
    assert_eq!(elsewhere, [Some((0, 0)); 3]);
}

fn count(available: usize, all: usize) -> Count {
    Count { all, available }
}

#[test]
fn what_a_level_cannot_carry_goes_to_the_next() {
    for (levels, expected) in [
        (vec![count(10, 10), count(10, 10)], vec![10_000, 0]),
        // More than 1 / 1.4 is enough.
        (vec![count(8, 10), count(10, 10)], vec![10_000, 0]),
        (vec![count(5, 10), count(10, 10)], vec![7_000, 3_000]),
        (vec![count(0, 10), count(10, 10)], vec![0, 10_000]),
        (
            vec![count(0, 10), count(5, 10), count(10, 10)],
            vec![0, 7_000, 3_000],
        ),
        // Together they can carry less than everything: in proportion.
        (vec![count(2, 10), count(2, 10)], vec![5_000, 5_000]),
        (vec![count(1, 10), count(2, 10)], vec![3_334, 6_666]),
        (vec![count(0, 10), count(0, 10)], vec![0, 0]),
        (vec![count(0, 0)], vec![0]),
        (vec![count(1, 10)], vec![10_000]),
    ] {
        let found: Vec<_> = loads(&levels, 0).iter().map(|l| l.share).collect();
        assert_eq!(found, expected, "{levels:?}");
        assert!(loads(&levels, 0).iter().all(|load| !load.is_panic));
    }
}

#[test]
fn panic_needs_too_few_in_a_level_and_too_few_together() {
    let panics = |levels: &[Count], percent| -> Vec<bool> {
        loads(levels, percent).iter().map(|l| l.is_panic).collect()
    };
    for (levels, percent, expected) in [
        (vec![count(4, 10)], 50, vec![true]),
        (vec![count(5, 10)], 50, vec![false]),
        (vec![count(0, 10)], 0, vec![false]),
        (vec![count(0, 10)], 1, vec![true]),
        // 8 of 10 carry everything, whatever the threshold.
        (vec![count(8, 10)], 90, vec![false]),
        // The second carries everything.
        (vec![count(1, 10), count(10, 10)], 50, vec![false, false]),
        (vec![count(1, 10), count(5, 10)], 40, vec![true, false]),
    ] {
        assert_eq!(panics(&levels, percent), expected, "{levels:?} {percent}");
    }
    // When all are in panic, each gets requests by its size.
    let both = loads(&[count(0, 10), count(0, 30)], 50);
    assert_eq!(both.iter().map(|l| l.share).collect::<Vec<_>>(), [10, 30]);
}

#[test]
fn a_place_that_cannot_carry_its_share_gets_less() {
    let shares = [80, 20];
    for (counts, is_panic, expected) in [
        ([count(10, 10), count(10, 10)], false, [800_000, 200_000]),
        ([count(5, 10), count(10, 10)], false, [560_000, 200_000]),
        ([count(0, 10), count(10, 10)], false, [0, 200_000]),
        ([count(0, 10), count(0, 10)], true, [800_000, 200_000]),
        ([count(0, 0), count(1, 1)], true, [0, 200_000]),
    ] {
        assert_eq!(
            place_weights(&shares, &counts, is_panic),
            expected,
            "{counts:?}"
        );
    }
}
