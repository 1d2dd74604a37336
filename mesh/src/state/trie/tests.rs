//! The trie against a plain map, with snapshots taken on the way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Trie, Weigh};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    key: u32,
    weight: u32,
}

impl Weigh for Entry {
    fn weight(&self) -> u64 {
        self.weight.into()
    }
}

/// Bad on purpose, so that leaves collide.
fn hash(key: u32) -> u32 {
    (key % 61).wrapping_mul(0x9e37_79b9)
}

fn sorted(trie: &Trie<Entry>) -> Vec<(u32, u32)> {
    let mut all: Vec<_> = trie.iter().map(|entry| (entry.key, entry.weight)).collect();
    all.sort_unstable();
    all
}

#[derive(Clone, Debug)]
enum Step {
    Put(u32, u32),
    Remove(u32),
    Snapshot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u32..500, 0u32..5).prop_map(|(key, weight)| Step::Put(key, weight)),
        4 => (0u32..500).prop_map(Step::Remove),
        1 => Just(Step::Snapshot),
    ];
    proptest::collection::vec(step, 0..1500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn behaves_like_a_map_and_snapshots_stay_as_they_were(steps in steps()) {
        let mut trie: Trie<Entry> = Trie::default();
        let mut map: BTreeMap<u32, u32> = BTreeMap::new();
        let mut snapshots = Vec::new();
        for step in steps {
            match step {
                Step::Put(key, weight) => {
                    let entry = Entry { key, weight };
                    if !trie.update(hash(key), |it| it.key == key, |it| *it = entry) {
                        trie.insert(hash(key), entry);
                    }
                    map.insert(key, weight);
                }
                Step::Remove(key) => {
                    let gone = trie.remove(hash(key), |it| it.key == key);
                    prop_assert_eq!(gone.map(|it| it.weight), map.remove(&key));
                }
                Step::Snapshot => snapshots.push((trie.clone(), map.clone())),
            }
        }
        snapshots.push((trie, map));
        for (trie, map) in snapshots {
            let expected: Vec<_> = map.iter().map(|(key, weight)| (*key, *weight)).collect();
            prop_assert_eq!(sorted(&trie), expected);
            prop_assert_eq!(trie.len(), map.len());
            let total: u64 = map.values().copied().map(u64::from).sum();
            prop_assert_eq!(trie.weight(), total);
            let mut hits: BTreeMap<u32, u32> = BTreeMap::new();
            for at in 0..total {
                *hits.entry(trie.at_weight(at).unwrap().key).or_default() += 1;
            }
            let weighted: BTreeMap<_, _> = map.into_iter().filter(|(_, weight)| *weight > 0).collect();
            prop_assert_eq!(hits, weighted);
            prop_assert_eq!(trie.at_weight(total), None);
        }
    }
}

#[test]
fn gives_its_memory_back_when_emptied() {
    let mut trie = Trie::default();
    for key in 0..10_000 {
        trie.insert(key, Entry { key, weight: 1 });
    }
    for key in 0..10_000 {
        assert!(trie.remove(key, |it| it.key == key).is_some());
    }
    assert!(matches!(trie.root, super::Link::Empty));
}
