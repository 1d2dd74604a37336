//! Pure. Names of resources by a key that several may share; keys are kept once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Name;

/// Key to names.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Name, Names>);

/// Most keys have one name: an address its pod.
#[derive(Debug)]
enum Names {
    One(Name),
    Many(BTreeSet<Name>),
}

impl Index {
    /// Puts `name` under `key`; returns the key to keep.
    pub(super) fn add(&mut self, key: &str, name: &Name) -> Name {
        let name = Arc::clone(name);
        let Some((kept, _)) = self.0.get_key_value(key) else {
            let kept: Name = key.into();
            self.0.insert(Arc::clone(&kept), Names::One(name));
            return kept;
        };
        let kept = Arc::clone(kept);
        match self.0.get_mut(key) {
            Some(Names::Many(names)) => _ = names.insert(name),
            Some(one @ Names::One(_)) => {
                let mut names = BTreeSet::from([name]);
                if let Names::One(first) = std::mem::replace(one, Names::Many(BTreeSet::new())) {
                    names.insert(first);
                }
                *one = Names::Many(names);
            }
            None => {}
        }
        kept
    }

    /// Takes `name` away from `key`.
    pub(super) fn remove(&mut self, key: &str, name: &Name) {
        let is_empty = match self.0.get_mut(key) {
            Some(Names::Many(names)) => {
                names.remove(name);
                names.is_empty()
            }
            Some(Names::One(one)) => one == name,
            None => false,
        };
        if is_empty {
            self.0.remove(key);
        }
    }

    /// Names under `key`, in order.
    pub(super) fn find(&self, key: &str) -> impl Iterator<Item = &Name> {
        let (one, many) = match self.0.get(key) {
            Some(Names::One(name)) => (Some(name), None),
            Some(Names::Many(names)) => (None, Some(names)),
            None => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_and_many_names_and_forgets_empty_keys() {
        let mut index = Index::default();
        let names: [Name; 3] = ["b".into(), "a".into(), "c".into()];
        let found = |index: &Index| index.find("k").map(ToString::to_string).collect::<String>();
        for name in &names {
            index.add("k", name);
        }
        let [b, a, c] = &names;
        assert_eq!(found(&index), "abc");
        index.remove("k", a);
        index.remove("k", a);
        assert_eq!(found(&index), "bc");
        index.remove("k", b);
        index.remove("k", c);
        assert!(index.0.is_empty());
        index.add("k", a);
        index.remove("k", b);
        assert_eq!(found(&index), "a");
        index.remove("k", a);
        assert!(index.0.is_empty());
    }
}
