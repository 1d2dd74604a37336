//! Pure. Chooses one endpoint of a table: level, place, then by the policy's way of choosing.
//!
//! Source: docs/compat.md#balancing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh::model::destination::Balancing;

use super::endpoint::{EndpointId, Member};
use super::locality;
use super::shares::Shares;
use super::table::{Candidates, Table};
use super::warmup;

/// Choices before an endpoint that was tried already is looked for in order.
const OTHER_CHOICES: usize = 5;

/// Draws before a new endpoint takes a request that its warming up would not let it take.
const WARM_CHOICES: usize = 16;

/// Why no endpoint can take a request. It is answered with 503 and the flag `UH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoEndpoint {
    /// There is none.
    #[error("the destination has no endpoint")]
    None,
    /// There are some, all of them unhealthy, left out after failures, without weight, or where no
    /// requests go.
    #[error("no endpoint of the destination takes requests")]
    NoneAvailable,
}

/// What a choice depends on.
pub(super) struct Choice<'a> {
    /// Milliseconds since the destination's beginning.
    pub(super) now: u64,
    pub(super) random: &'a mut dyn FnMut() -> u64,
    pub(super) hash: Option<u64>,
    pub(super) tried: &'a [EndpointId],
    pub(super) farther: bool,
    pub(super) session: Option<u64>,
}

impl Choice<'_> {
    /// Index of the chosen member.
    pub(super) fn make(&mut self, table: &Table) -> Result<u32, NoEndpoint> {
        if let Some(pinned) = self.pinned(table) {
            return Ok(pinned);
        }
        if table.members.is_empty() {
            return Err(NoEndpoint::None);
        }
        self.choose(table).ok_or(NoEndpoint::NoneAvailable)
    }

    /// The endpoint of the client's session, while it is available and was not tried in vain.
    fn pinned(&self, table: &Table) -> Option<u32> {
        let (index, member) = table.by_key(self.session?)?;
        let is_usable = table.is_available(index) && member.weight > 0 && !self.was_tried(member);
        is_usable.then_some(index)
    }

    fn was_tried(&self, member: &Member) -> bool {
        self.tried.contains(&member.endpoint.id)
    }

    fn choose(&mut self, table: &Table) -> Option<u32> {
        let level = self.level(table)?;
        if let Some(hash) = self.hash
            && let Some(index) = table.hashed(level, hash)
        {
            // A retry stays too: the hash says whose request it is.
            return Some(index);
        }
        let view = table.levels.get(level)?;
        let place = match view.places.len() {
            1 => 0,
            _ => view.spread.drawn((self.random)())?,
        };
        let candidates = view.places.get(place)?;
        let mut chosen = self.admitted(table, candidates, level, place)?;
        if self.tried.is_empty() {
            return Some(chosen);
        }
        for _ in 0..OTHER_CHOICES {
            if !self.was_tried(table.member(chosen)?) {
                return Some(chosen);
            }
            chosen = self.admitted(table, candidates, level, place)?;
        }
        let is_other = |index: &&u32| table.member(**index).is_some_and(|m| !self.was_tried(m));
        let mut others = candidates.members.iter();
        Some(others.find(is_other).copied().unwrap_or(chosen))
    }

    /// The level a request goes to; one hash always goes to the same.
    fn level(&mut self, table: &Table) -> Option<usize> {
        if let ([one], true) = (&*table.levels, self.tried.is_empty() || !self.farther) {
            return (one.load.share > 0).then_some(0);
        }
        let random = match self.hash {
            Some(hash) => hash,
            None => (self.random)(),
        };
        let farther = self.farther.then(|| self.untried_levels(table)).flatten();
        let farther = farther.and_then(|spread| spread.drawn(random));
        farther.or_else(|| table.spread.drawn(random))
    }

    /// Spread over the levels in which nothing was tried; `None` when there is no such level.
    fn untried_levels(&self, table: &Table) -> Option<Shares> {
        let tried = self.tried.iter().filter_map(|id| table.by_key(id.key()));
        let tried: Vec<usize> = tried.filter_map(|(i, _)| table.level_of(i)).collect();
        let counts = table.levels.iter().enumerate().map(|(level, view)| {
            let mut count = view.count;
            if tried.contains(&level) {
                count = locality::Count::default();
            }
            count
        });
        let loads = locality::loads(&counts.collect::<Vec<_>>(), 0);
        let weights: Vec<u64> = loads.iter().map(|load| load.share).collect();
        weights
            .iter()
            .any(|w| *w > 0)
            .then(|| Shares::new(&weights))
    }

    /// Chooses until an endpoint is old enough to take the request.
    fn admitted(
        &mut self,
        table: &Table,
        candidates: &Candidates,
        level: usize,
        place: usize,
    ) -> Option<u32> {
        let mut chosen = self.of_place(table, candidates, level, place)?;
        let Some(warmup) = table.policy.warmup.filter(|_| self.now < table.warm_from) else {
            return Some(chosen);
        };
        for _ in 0..WARM_CHOICES {
            let since = table.member(chosen)?.endpoint.since.load(Ordering::Relaxed);
            let age = Duration::from_millis(self.now.saturating_sub(since));
            if warmup::admits(&warmup, age, (self.random)()) {
                break;
            }
            chosen = self.of_place(table, candidates, level, place)?;
        }
        Some(chosen)
    }

    fn of_place(
        &mut self,
        table: &Table,
        candidates: &Candidates,
        level: usize,
        place: usize,
    ) -> Option<u32> {
        let shares = &candidates.shares;
        let at = match table.policy.balancing {
            Balancing::RoundRobin => shares.turn(table.next_turn(level, place))?,
            Balancing::Random | Balancing::Hash { .. } => shares.drawn((self.random)())?,
            Balancing::LeastRequest => return self.less_busy(table, candidates),
        };
        candidates.members.get(at).copied()
    }

    /// Of two at random the one with fewer requests for its weight; the first when they are equal, so
    /// that without load each is as likely as its weight.
    fn less_busy(&mut self, table: &Table, candidates: &Candidates) -> Option<u32> {
        let shares = &candidates.shares;
        let first = shares.drawn((self.random)())?;
        let second = if shares.are_equal() && shares.len() > 1 {
            // Two that differ: the second is as far behind the first as chance says.
            let others = shares.len() as u64 - 1;
            let ahead = super::shares::scale((self.random)(), others) as usize + 1;
            (first + ahead) % shares.len()
        } else {
            shares.drawn((self.random)())?
        };
        let (first, second) = (
            *candidates.members.get(first)?,
            *candidates.members.get(second)?,
        );
        let (one, other) = (table.member(first)?, table.member(second)?);
        let busy = |m: &Member, by: &Member| u64::from(m.endpoint.active()) * u64::from(by.weight);
        let is_other_less_busy = busy(other, one) < busy(one, other);
        Some(if is_other_less_busy { second } else { first })
    }
}
