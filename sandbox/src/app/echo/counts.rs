//! Pure. How many requests a server saw, by path.

use std::collections::BTreeMap;

/// Most paths that are told apart.
const MOST: usize = 10_000;
/// Stands for all paths beyond.
const OTHERS: &str = "*";

/// Requests by path, query left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Counts a request; says how many of this path there were before.
    pub(super) fn count(&mut self, path: &str) -> u64 {
        let path = path.split('?').next().unwrap_or_default();
        let is_known = self.0.contains_key(path) || self.0.len() < MOST;
        let path = if is_known { path } else { OTHERS };
        let count = self.0.entry(path.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count - 1
    }

    /// All of them.
    pub(super) fn all(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_path_and_not_without_end() {
        let mut counts = Counts::default();
        assert_eq!(counts.count("/a?x=1"), 0);
        assert_eq!(counts.count("/a?x=2"), 1);
        for number in 0..MOST + 5 {
            counts.count(&format!("/{number}"));
        }
        assert_eq!(counts.all().len(), MOST + 1);
        assert_eq!(counts.all().get(OTHERS), Some(&6));
    }
}
