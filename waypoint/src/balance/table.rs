//! Pure. One version of a destination's endpoints, made ready to choose from.
//!
//! It has two layers: what changes with the list or the policy (levels, places, ring) and what changes
//! when an endpoint is left out or taken back (who is available, loads), so that the second is cheap.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use mesh::model::destination::{Balancing, HashTable, TrafficPolicy};

use super::endpoint::Member;
use super::locality::{self, Arrangement, Count, Load, Place, Spot};
use super::maglev::Maglev;
use super::ring::Ring;
use super::shares::Shares;

/// One version of the endpoints.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) policy: Arc<TrafficPolicy>,
    pub(super) members: Arc<[Member]>,
    fixed: Arc<Fixed>,
    /// Who is available, in the order of members.
    available: Vec<bool>,
    pub(super) levels: Vec<Level>,
    /// Which level a request goes to.
    pub(super) spread: Shares,
    /// When the youngest endpoint is no longer new; 0 when nothing warms up.
    pub(super) warm_from: u64,
}

/// What does not change with availability.
#[derive(Debug)]
struct Fixed {
    by_key: HashMap<u64, u32, RandomState>,
    arrangement: Arrangement,
    levels: Vec<FixedLevel>,
}

#[derive(Debug)]
struct FixedLevel {
    places: Vec<FixedPlace>,
    hashed: Option<Hashed>,
}

#[derive(Debug)]
struct FixedPlace {
    /// Indices of members with weight.
    members: Vec<u32>,
    turns: AtomicU64,
}

#[derive(Debug)]
enum Hashed {
    Ring(Ring),
    Maglev(Maglev),
}

/// A level as it is now.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) count: Count,
    pub(super) load: Load,
    /// Which place of it a request goes to.
    pub(super) spread: Shares,
    pub(super) places: Vec<Candidates>,
}

/// Endpoints to choose from.
#[derive(Debug)]
pub(super) struct Candidates {
    /// Indices of members.
    pub(super) members: Vec<u32>,
    pub(super) shares: Shares,
}

impl Table {
    /// Makes endpoints ready. `before` is what they follow: turns go on where they were.
    pub(super) fn new(
        policy: Arc<TrafficPolicy>,
        place: &Place,
        members: Arc<[Member]>,
        before: Option<&Self>,
    ) -> Self {
        let spots: Vec<Spot<'_>> = members
            .iter()
            .map(|m| Spot {
                locality: &m.about.locality,
                labels: &m.about.labels,
            })
            .collect();
        let arrangement = locality::arrange(&policy.locality, place, &spots);
        let turns = before.map_or(0, Self::turns);
        let levels = seat(&arrangement, &members)
            .into_iter()
            .zip(&arrangement.shares)
            .map(|(places, shares)| {
                FixedLevel::new(&policy.balancing, places, shares, &members, turns)
            })
            .collect();
        let keys = members.iter().zip(0..);
        let fixed = Fixed {
            by_key: keys
                .map(|(m, index)| (m.endpoint.id.key(), index))
                .collect(),
            arrangement,
            levels,
        };
        Self::with(policy, members, Arc::new(fixed))
    }

    /// The same endpoints after availability changed.
    pub(super) fn looked_at_again(&self) -> Self {
        let (policy, members) = (Arc::clone(&self.policy), Arc::clone(&self.members));
        Self::with(policy, members, Arc::clone(&self.fixed))
    }

    fn with(policy: Arc<TrafficPolicy>, members: Arc<[Member]>, fixed: Arc<Fixed>) -> Self {
        let available: Vec<bool> = members.iter().map(Member::is_available).collect();
        let is_available = |index: &u32| available.get(*index as usize).copied().unwrap_or(false);
        let counts: Vec<Vec<Count>> = fixed
            .levels
            .iter()
            .map(|level| level.places.iter().map(|p| p.count(is_available)).collect())
            .collect();
        let level_counts: Vec<Count> = counts.iter().map(|c| sum(c)).collect();
        let loads = locality::loads(&level_counts, panic_percent(&policy));
        let levels: Vec<Level> = fixed
            .levels
            .iter()
            .zip(&fixed.arrangement.shares)
            .zip(counts.iter().zip(level_counts.iter().zip(&loads)))
            .map(|((level, shares), (counts, (count, load)))| Level {
                count: *count,
                load: *load,
                spread: Shares::new(&locality::place_weights(shares, counts, load.is_panic)),
                places: level
                    .places
                    .iter()
                    .map(|p| p.candidates(&members, |index| load.is_panic || is_available(index)))
                    .collect(),
            })
            .collect();
        let weights: Vec<u64> = loads.iter().map(|load| load.share).collect();
        let warm_from = warm_from(&policy, &members);
        Self {
            policy,
            members,
            fixed,
            available,
            levels,
            spread: Shares::new(&weights),
            warm_from,
        }
    }

    /// The member with this key.
    pub(super) fn by_key(&self, key: u64) -> Option<(u32, &Member)> {
        let index = *self.fixed.by_key.get(&key)?;
        Some((index, self.member(index)?))
    }

    pub(super) fn member(&self, index: u32) -> Option<&Member> {
        self.members.get(index as usize)
    }

    pub(super) fn is_available(&self, index: u32) -> bool {
        self.available.get(index as usize).copied().unwrap_or(false)
    }

    /// The level an endpoint is in.
    pub(super) fn level_of(&self, index: u32) -> Option<usize> {
        let seat = self.fixed.arrangement.seats.get(index as usize)?;
        seat.map(|(level, _)| level)
    }

    /// The endpoint that a hash belongs to in a level.
    pub(super) fn hashed(&self, level: usize, hash: u64) -> Option<u32> {
        let is_panic = self.levels.get(level)?.load.is_panic;
        let is_usable = |index| is_panic || self.is_available(index);
        match self.fixed.levels.get(level)?.hashed.as_ref()? {
            Hashed::Ring(ring) => ring.find(hash, is_usable),
            Hashed::Maglev(maglev) => maglev.find(hash, is_usable),
        }
    }

    /// Number of the next turn at a place.
    pub(super) fn next_turn(&self, level: usize, place: usize) -> u64 {
        let level = self.fixed.levels.get(level);
        let place = level.and_then(|l| l.places.get(place));
        place.map_or(0, |p| p.turns.fetch_add(1, Ordering::Relaxed))
    }

    /// How many turns the first place has had.
    fn turns(&self) -> u64 {
        let first = self.fixed.levels.first().and_then(|l| l.places.first());
        first.map_or(0, |p| p.turns.load(Ordering::Relaxed))
    }
}

/// Share of available endpoints below which ejections do not count.
fn panic_percent(policy: &TrafficPolicy) -> u32 {
    policy
        .outlier
        .map_or(0, |outlier| outlier.min_health_percent)
}

/// When the youngest is warm; 0 where warming up does not count.
fn warm_from(policy: &TrafficPolicy, members: &[Member]) -> u64 {
    let counts = matches!(
        policy.balancing,
        Balancing::LeastRequest | Balancing::RoundRobin
    );
    let Some(warmup) = policy.warmup.filter(|_| counts) else {
        return 0;
    };
    let since = members
        .iter()
        .map(|m| m.endpoint.since.load(Ordering::Relaxed));
    let duration = u64::try_from(warmup.duration.as_millis()).unwrap_or(u64::MAX);
    since.max().unwrap_or(0).saturating_add(duration)
}

fn sum(counts: &[Count]) -> Count {
    counts.iter().fold(Count::default(), |sum, count| Count {
        all: sum.all + count.all,
        available: sum.available + count.available,
    })
}

/// Members with weight by level and place.
fn seat(arrangement: &Arrangement, members: &[Member]) -> Vec<Vec<Vec<u32>>> {
    let places = |shares: &Vec<u32>| vec![Vec::new(); shares.len()];
    let mut seated: Vec<Vec<Vec<u32>>> = arrangement.shares.iter().map(places).collect();
    for ((index, member), seat) in (0..).zip(members).zip(&arrangement.seats) {
        let Some((level, place)) = seat.filter(|_| member.weight > 0) else {
            continue;
        };
        let found = seated.get_mut(level).and_then(|l| l.get_mut(place));
        if let Some(place) = found {
            place.push(index);
        }
    }
    seated
}

impl FixedLevel {
    fn new(
        balancing: &Balancing,
        places: Vec<Vec<u32>>,
        shares: &[u32],
        members: &[Member],
        turns: u64,
    ) -> Self {
        let hashed = match balancing {
            Balancing::Hash { table, .. } => {
                let weighted = weighted(&places, shares, members);
                Some(match table {
                    HashTable::Ring(least) => Hashed::Ring(Ring::new(&weighted, *least)),
                    HashTable::Maglev(size) => Hashed::Maglev(Maglev::new(&weighted, *size)),
                })
            }
            _ => None,
        };
        let place = |members| FixedPlace {
            members,
            turns: AtomicU64::new(turns),
        };
        Self {
            places: places.into_iter().map(place).collect(),
            hashed,
        }
    }
}

/// Index, key and weight of every member. With several places the share of each is divided among its
/// members; with one a member's weight does not depend on the others, so that hashes stay.
fn weighted(places: &[Vec<u32>], shares: &[u32], members: &[Member]) -> Vec<(u32, u64, f64)> {
    let mut rows = Vec::new();
    for (place, share) in places.iter().zip(shares) {
        let found = || {
            let rows = place.iter().map(|i| (*i, members.get(*i as usize)));
            rows.filter_map(|(index, member)| Some((index, member?)))
        };
        let total: f64 = found().map(|(_, m)| f64::from(m.weight)).sum();
        rows.extend(found().map(|(index, m)| {
            let own = f64::from(m.weight);
            let weight = if places.len() == 1 {
                own
            } else {
                f64::from(*share) * own / total
            };
            (index, m.endpoint.id.key(), weight)
        }));
    }
    rows
}

impl FixedPlace {
    fn count(&self, is_available: impl Fn(&u32) -> bool) -> Count {
        Count {
            all: self.members.len(),
            available: self.members.iter().filter(|i| is_available(i)).count(),
        }
    }

    fn candidates(&self, members: &[Member], is_chosen: impl Fn(&u32) -> bool) -> Candidates {
        let chosen: Vec<u32> = self
            .members
            .iter()
            .copied()
            .filter(|i| is_chosen(i))
            .collect();
        let weight = |index: &u32| {
            members
                .get(*index as usize)
                .map_or(0, |m| u64::from(m.weight))
        };
        let weights: Vec<u64> = chosen.iter().map(weight).collect();
        Candidates {
            members: chosen,
            shares: Shares::new(&weights),
        }
    }
}
