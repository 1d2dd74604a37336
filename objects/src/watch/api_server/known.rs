//! Pure. Which objects of a kind are known in which version, and what a new word about one changes.

use std::collections::{HashMap, HashSet};

use super::read::Reading;
use crate::change::{Batch, Change, Problem};
use crate::kinds::Key;

/// What was said of one kind so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: HashMap<Key, Entry>,
    problems: HashMap<Key, Problem>,
    /// While a list is read: what it has mentioned so far.
    mentioned: Option<HashSet<Key>>,
}

#[derive(Debug)]
struct Entry {
    uid: String,
    version: String,
    /// Whether any version of it could be read, and so was said.
    is_said: bool,
}

impl Known {
    /// A list begins: what it does not mention is gone.
    pub(super) fn begin(&mut self) {
        self.mentioned = Some(HashSet::new());
    }

    /// The list is complete.
    pub(super) fn end(&mut self, batch: &mut Batch) {
        let mentioned = self.mentioned.take().unwrap_or_default();
        let gone: Vec<Key> = self
            .entries
            .keys()
            .filter(|key| !mentioned.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.remove(key, batch);
        }
    }

    /// Nothing of the kind exists any more.
    pub(super) fn clear(&mut self, batch: &mut Batch) {
        self.begin();
        self.end(batch);
    }

    /// Takes in what an object says now. What is known in that version already is not said again; what cannot be read
    /// leaves its last good version in place.
    pub(super) fn put(&mut self, reading: Reading, batch: &mut Batch) {
        let Reading {
            key,
            uid,
            version,
            object,
        } = reading;
        if let Some(mentioned) = &mut self.mentioned {
            mentioned.insert(key.clone());
        }
        let before = self.entries.get(&key);
        if before.is_some_and(|it| it.uid == uid && it.version == version && !version.is_empty()) {
            return;
        }
        let is_said = object.is_ok() || before.is_some_and(|it| it.is_said);
        let entry = Entry {
            uid,
            version,
            is_said,
        };
        self.entries.insert(key.clone(), entry);
        match object {
            Ok(object) => {
                self.resolve(&key, batch);
                batch.changes.push(Change {
                    key,
                    object: Some(object),
                });
            }
            Err(problem) if self.problems.get(&key) == Some(&problem) => {}
            Err(problem) => {
                self.resolve(&key, batch);
                self.problems.insert(key, problem.clone());
                batch.problems.push(problem);
            }
        }
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, key: Key, batch: &mut Batch) {
        if let Some(mentioned) = &mut self.mentioned {
            mentioned.remove(&key);
        }
        self.resolve(&key, batch);
        if self.entries.remove(&key).is_some_and(|it| it.is_said) {
            batch.changes.push(Change { key, object: None });
        }
    }

    fn resolve(&mut self, key: &Key, batch: &mut Batch) {
        batch.resolved.extend(self.problems.remove(key));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read::read;
    use super::Known;
    use crate::change::Batch;
    use crate::kinds::{Key, Kind};

    fn put(known: &mut Known, name: &str, version: &str, port: &str) -> String {
        let item = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "resourceVersion": version},
            "spec": {"ports": [{"port": serde_json::from_str::<serde_json::Value>(port).unwrap()}]}});
        let mut batch = Batch::default();
        known.put(read(Kind::Service, "v1", item).unwrap(), &mut batch);
        shown(&batch)
    }

    /// `+` there, `-` gone, `!` broken, `?` not broken any more.
    fn shown(batch: &Batch) -> String {
        let mut words: Vec<String> = Vec::new();
        for change in &batch.changes {
            let sign = if change.object.is_some() { '+' } else { '-' };
            words.push(format!("{sign}{}", change.key.name));
        }
        words.extend(batch.problems.iter().map(|_| "!".to_owned()));
        words.extend(batch.resolved.iter().map(|_| "?".to_owned()));
        words.sort();
        words.join(" ")
    }

    fn ended(known: &mut Known) -> String {
        let mut batch = Batch::default();
        known.end(&mut batch);
        shown(&batch)
    }

    #[test]
    fn a_list_says_what_is_new_and_what_is_gone() {
        let mut known = Known::default();
        known.begin();
        assert_eq!(put(&mut known, "a", "1", "80"), "+a");
        assert_eq!(put(&mut known, "b", "2", "80"), "+b");
        assert_eq!(ended(&mut known), "");
        known.begin();
        assert_eq!(put(&mut known, "a", "1", "80"), "", "it is known so");
        assert_eq!(put(&mut known, "c", "3", "80"), "+c");
        assert_eq!(ended(&mut known), "-b");
        let mut batch = Batch::default();
        known.clear(&mut batch);
        assert_eq!(shown(&batch), "-a -c");
    }

    #[test]
    fn half_a_list_that_begins_anew_loses_nothing() {
        let mut known = Known::default();
        known.begin();
        put(&mut known, "a", "1", "80");
        put(&mut known, "b", "2", "80");
        ended(&mut known);
        known.begin();
        put(&mut known, "a", "1", "80");
        known.begin();
        put(&mut known, "b", "2", "80");
        assert_eq!(ended(&mut known), "-a");
    }

    #[test]
    fn a_broken_version_leaves_the_good_one_until_it_is_mended_or_gone() {
        let mut known = Known::default();
        assert_eq!(put(&mut known, "a", "1", "80"), "+a");
        assert_eq!(put(&mut known, "a", "2", r#""x""#), "!");
        assert_eq!(put(&mut known, "a", "3", r#""x""#), "", "the same problem");
        assert_eq!(put(&mut known, "a", "4", "81"), "+a ?");
        assert_eq!(put(&mut known, "b", "5", r#""x""#), "!");
        let mut batch = Batch::default();
        known.remove(Key::new(Kind::Service, "n", "b"), &mut batch);
        assert_eq!(shown(&batch), "?", "it was never said to exist");
    }
}
