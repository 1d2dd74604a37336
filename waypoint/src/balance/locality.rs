//! Pure. Which endpoints go first because of where they are, and how much goes to those behind them.
//!
//! Endpoints are put into levels. Level 0 takes everything while enough of it is healthy; what it
//! cannot carry goes to the next. A level has places with shares of their own where the user
//! distributes, else one place. Source: docs/compat.md#balancing.

use std::sync::Arc;

use mesh::model::Locality;
use mesh::model::destination::{Distribution, LocalityPolicy};

use super::endpoint::Labels;

/// Where the waypoint itself is: what is near is near to it, because it cannot see where its
/// clients are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its locality.
    pub locality: Locality,
    /// Its labels.
    pub labels: Labels,
}

/// What decides an endpoint's level.
pub(super) struct Spot<'a> {
    pub(super) locality: &'a Locality,
    pub(super) labels: &'a [(Arc<str>, Arc<str>)],
}

/// Where every endpoint belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrangement {
    /// Level and place of each endpoint, in the given order; `None` takes no requests.
    pub(super) seats: Vec<Option<(usize, usize)>>,
    /// Shares of the places of each level.
    pub(super) shares: Vec<Vec<u32>>,
}

/// Puts endpoints into levels and places.
pub(super) fn arrange(policy: &LocalityPolicy, place: &Place, spots: &[Spot<'_>]) -> Arrangement {
    let everywhere = || Arrangement {
        seats: vec![Some((0, 0)); spots.len()],
        shares: vec![vec![1]],
    };
    if !policy.enabled {
        return everywhere();
    }
    if !policy.distribute.is_empty() {
        let ours = policy
            .distribute
            .iter()
            .find(|d| covers(&d.from, &place.locality));
        return ours.map_or_else(everywhere, |d| distribute(d, spots));
    }
    let ranks: Vec<usize> = spots
        .iter()
        .map(|spot| {
            if policy.failover_priority.is_empty() {
                rank_by_place(policy, &place.locality, spot.locality)
            } else {
                rank_by_labels(&policy.failover_priority, place, spot)
            }
        })
        .collect();
    by_rank(&ranks)
}

/// Levels without gaps, in the order of ranks.
fn by_rank(ranks: &[usize]) -> Arrangement {
    let mut present = ranks.to_vec();
    present.sort_unstable();
    present.dedup();
    let level = |rank: &usize| present.binary_search(rank).ok().map(|level| (level, 0));
    Arrangement {
        seats: ranks.iter().map(level).collect(),
        shares: vec![vec![1]; present.len().max(1)],
    }
}

/// One level, a place for every target of the distribution.
fn distribute(distribution: &Distribution, spots: &[Spot<'_>]) -> Arrangement {
    let seat = |spot: &Spot<'_>| {
        let to = &distribution.to;
        let target = to.iter().position(|(to, _)| covers(to, spot.locality))?;
        Some((0, target))
    };
    Arrangement {
        seats: spots.iter().map(seat).collect(),
        shares: vec![distribution.to.iter().map(|(_, share)| *share).collect()],
    }
}

/// Whether `region/zone/subzone` covers a place. `*` and missing parts cover every value.
fn covers(pattern: &str, place: &Locality) -> bool {
    let parts = [&place.region, &place.zone, &place.subzone];
    let mut pattern = pattern.split('/');
    let region = pattern.next().unwrap_or_default();
    let is_region = region == "*" || *region == *place.region;
    is_region
        && pattern
            .zip(parts.into_iter().skip(1))
            .all(|(part, value)| matches!(part, "*" | "") || *part == **value)
}

/// How far an endpoint is: 0 same subzone, 1 zone, 2 region, 3 elsewhere; with a failover region for
/// ours 3 is that region and 4 the rest.
fn rank_by_place(policy: &LocalityPolicy, own: &Locality, other: &Locality) -> usize {
    if own.region != other.region {
        let to = policy.failover.iter().find(|(from, _)| *from == own.region);
        return match to {
            Some((_, to)) if *to != other.region => 4,
            _ => 3,
        };
    }
    if own.zone != other.zone {
        return 2;
    }
    usize::from(own.subzone != other.subzone)
}

/// How many labels from the first that differs on.
fn rank_by_labels(wanted: &[Arc<str>], place: &Place, spot: &Spot<'_>) -> usize {
    let agreeing = wanted.iter().take_while(|wanted| {
        let (key, value) = match wanted.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (&***wanted, label(wanted, &place.labels, &place.locality)),
        };
        value.unwrap_or_default() == label(key, spot.labels, spot.locality).unwrap_or_default()
    });
    wanted.len() - agreeing.count()
}

/// A label's value; those of places are known also where they are no labels.
fn label<'a>(
    key: &str,
    labels: &'a [(Arc<str>, Arc<str>)],
    place: &'a Locality,
) -> Option<&'a str> {
    let own = labels.iter().find(|(k, _)| **k == *key);
    own.map(|(_, value)| &**value).or(match key {
        "topology.kubernetes.io/region" => Some(&place.region),
        "topology.kubernetes.io/zone" => Some(&place.zone),
        "topology.istio.io/subzone" => Some(&place.subzone),
        _ => None,
    })
}

/// How many endpoints a level or place has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// All of them.
    pub(super) all: usize,
    /// Those that take requests.
    pub(super) available: usize,
}

/// What goes to a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    /// Its share of requests, in hundredths of a percent (or any unit when all are in panic).
    pub(super) share: u64,
    /// Whether endpoints that should get nothing are chosen too.
    pub(super) is_panic: bool,
}

/// All of the load, in hundredths of a percent.
const ALL: u64 = 10_000;

/// How many times over a place is taken to be able to carry its load, in percent: a level is full as
/// long as more than 1 / 1.4 of it is available.
const OVERPROVISIONED: u64 = 140;

/// How much a level or place can carry, in hundredths of a percent of its load.
fn carries(count: Count) -> u64 {
    (count.available as u64 * OVERPROVISIONED * ALL / 100)
        .checked_div(count.all as u64)
        .unwrap_or(0)
        .min(ALL)
}

/// How requests are spread over levels. Below `panic_percent` of available endpoints a level is in
/// panic, but only when all levels together cannot carry the load; 0 is never.
pub(super) fn loads(levels: &[Count], panic_percent: u32) -> Vec<Load> {
    let carried: Vec<u64> = levels.iter().map(|count| carries(*count)).collect();
    let together = carried.iter().sum::<u64>().min(ALL);
    let panics = |count: &Count| {
        together < ALL && count.available as u64 * 100 < u64::from(panic_percent) * count.all as u64
    };
    if panic_percent > 0 && levels.iter().all(|l| panics(l) || l.all == 0) {
        let whole = |count: &Count| Load {
            share: count.all as u64,
            is_panic: true,
        };
        return levels.iter().map(whole).collect();
    }
    let mut left = if together == 0 { 0 } else { ALL };
    let mut loads: Vec<Load> = Vec::with_capacity(levels.len());
    for (count, carried) in levels.iter().zip(&carried) {
        let share = (carried * ALL).checked_div(together).unwrap_or(0).min(left);
        left -= share;
        loads.push(Load {
            share,
            is_panic: panics(count),
        });
    }
    // What rounding left over goes to the first that takes anything.
    if let Some(first) = loads.iter_mut().find(|load| load.share > 0) {
        first.share += left;
    }
    loads
}

/// How requests to one level are spread over its places: by share, less where a place cannot carry it.
pub(super) fn place_weights(shares: &[u32], counts: &[Count], is_panic: bool) -> Vec<u64> {
    let weight = |(share, count): (&u32, &Count)| {
        let carried = match (is_panic, count.all) {
            (_, 0) => 0,
            (true, _) => ALL,
            (false, _) => carries(*count),
        };
        u64::from(*share) * carried
    };
    shares.iter().zip(counts).map(weight).collect()
}

#[cfg(test)]
mod tests;
