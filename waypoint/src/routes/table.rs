//! Pure. The HTTP routes of one port: which entry is the first that matches, without trying them all.
//!
//! Entries are found by the paths they ask for: exact paths and prefixes of whole elements by hash, the
//! rest one by one. What is found is the entry with the lowest number among those that match, as if all
//! had been tried in order.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use mesh::model::http::{HttpEntry, PathMatch};

use crate::matcher::{BadMatch, Facts, Matcher};

/// Entries in order, with indexes by path.
#[derive(Debug, Default)]
pub struct Table {
    entries: Vec<(Matcher, u32)>,
    exact: Index,
    elements: Index,
    /// Elements of the longest prefix in `elements`.
    deepest: usize,
    /// Entries that no index finds.
    rest: Vec<u32>,
}

type Index = HashMap<Arc<str>, Vec<u32>, RandomState>;

impl Table {
    /// Compiles entries.
    ///
    /// # Errors
    /// [`BadMatch`] names the text that cannot be used.
    pub fn new(entries: &[HttpEntry]) -> Result<Self, BadMatch> {
        let mut table = Self::default();
        for (number, entry) in (0_u32..).zip(entries) {
            let matcher = Matcher::new(&entry.matches)?;
            match &entry.matches.path {
                Some(PathMatch::Exact(path)) if !entry.matches.ignore_path_case => {
                    table
                        .exact
                        .entry(Arc::clone(path))
                        .or_default()
                        .push(number);
                }
                Some(PathMatch::Elements(prefix)) if !entry.matches.ignore_path_case => {
                    table.deepest = table.deepest.max(prefix.matches('/').count());
                    let same = table.elements.entry(Arc::clone(prefix)).or_default();
                    same.push(number);
                }
                _ => table.rest.push(number),
            }
            table.entries.push((matcher, entry.rule));
        }
        Ok(table)
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of the rule of the first entry that matches.
    pub fn find(&self, facts: &Facts<'_>) -> Option<u32> {
        let mut best = u32::MAX;
        let mut look = |numbers: &[u32]| {
            let better = numbers.iter().take_while(|it| **it < best);
            let first = better.copied().find(|number| self.matches(*number, facts));
            best = first.unwrap_or(best);
        };
        if let Some(numbers) = self.exact.get(facts.path) {
            look(numbers);
        }
        if !self.elements.is_empty() {
            for prefix in prefixes(facts.path, self.deepest) {
                if let Some(numbers) = self.elements.get(prefix) {
                    look(numbers);
                }
            }
        }
        look(&self.rest);
        self.entries
            .get(usize::try_from(best).ok()?)
            .map(|(_, rule)| *rule)
    }

    fn matches(&self, number: u32, facts: &Facts<'_>) -> bool {
        let entry = usize::try_from(number)
            .ok()
            .and_then(|it| self.entries.get(it));
        entry.is_some_and(|(matcher, _)| matcher.matches(facts))
    }
}

/// The prefixes of whole elements: of `/a/b` these are the empty one, `/a` and `/a/b`; at most `deepest`
/// elements long.
fn prefixes(path: &str, deepest: usize) -> impl Iterator<Item = &str> {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    let ends = slashes.chain([path.len()]);
    ends.take(deepest + 1).filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests;
