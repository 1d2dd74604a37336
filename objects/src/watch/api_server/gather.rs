//! Pure. Batches of single kinds become one: the last word about an object counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::change::{Batch, Change, Problem};
use crate::kinds::Key;
use crate::object::Object;

/// What was said since the last batch went out.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By kind, then namespace, then name, as in every batch.
    changes: BTreeMap<Key, Option<Arc<Object>>>,
    problems: BTreeSet<Problem>,
    resolved: BTreeSet<Problem>,
    /// Whether a first batch went out: an empty one is worth saying once.
    is_begun: bool,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn has_news(&self) -> bool {
        let is_empty =
            self.changes.is_empty() && self.problems.is_empty() && self.resolved.is_empty();
        !is_empty || !self.is_begun
    }

    pub(super) fn add(&mut self, batch: Batch) {
        for Change { key, object } in batch.changes {
            self.changes.insert(key, object);
        }
        for problem in batch.resolved {
            if !self.problems.remove(&problem) {
                self.resolved.insert(problem);
            }
        }
        for problem in batch.problems {
            if !self.resolved.remove(&problem) {
                self.problems.insert(problem);
            }
        }
    }

    pub(super) fn take(&mut self) -> Batch {
        let changes = std::mem::take(&mut self.changes).into_iter();
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        Batch {
            // Of what came and went before anybody heard of it nothing is said.
            changes: changes
                .filter(|(_, object)| !is_first || object.is_some())
                .map(|(key, object)| Change { key, object })
                .collect(),
            problems: std::mem::take(&mut self.problems).into_iter().collect(),
            resolved: std::mem::take(&mut self.resolved).into_iter().collect(),
            synced: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Gathered;
    use crate::change::{Batch, Change, Problem};
    use crate::kinds::{Key, Kind};
    use crate::object::Class;

    #[test]
    fn a_problem_that_comes_and_goes_between_two_batches_is_none() {
        let problem = Problem {
            file: PathBuf::new(),
            line: 0,
            key: Some(Key::new(Kind::Pod, "n", "a")),
            field: String::new(),
            reason: "x".to_owned(),
            class: Class::Broken,
        };
        let mut gathered = Gathered::default();
        assert!(gathered.take().is_empty());
        assert!(!gathered.has_news(), "nothing is said once");
        let there = || Batch {
            problems: vec![problem.clone()],
            ..Batch::default()
        };
        let gone = || Batch {
            resolved: vec![problem.clone()],
            ..Batch::default()
        };
        gathered.add(there());
        gathered.add(gone());
        assert!(!gathered.has_news());
        gathered.add(there());
        assert_eq!(gathered.take().problems, std::slice::from_ref(&problem));
        gathered.add(gone());
        assert_eq!(gathered.take().resolved, std::slice::from_ref(&problem));
    }

    #[test]
    fn changes_come_in_order_and_once_each() {
        let change = |name: &str| Change {
            key: Key::new(Kind::Pod, "n", name),
            object: None,
        };
        let mut gathered = Gathered::default();
        gathered.take();
        for names in [["c", "a"], ["b", "a"]] {
            gathered.add(Batch {
                changes: names.map(change).into(),
                ..Batch::default()
            });
        }
        let names: Vec<_> = gathered
            .take()
            .changes
            .into_iter()
            .map(|it| it.key.name)
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }
}
