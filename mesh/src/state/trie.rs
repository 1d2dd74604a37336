//! A persistent hash trie: copies of it are snapshots, a change copies only the path to one leaf.
//!
//! Eight-way branches over three hash bits each; leaves hold up to 32 entries side by side, so that an
//! index of small entries costs about 15 bytes per entry. Nodes that no snapshot shares are changed in
//! place, which makes a large batch as cheap as filling a plain map. Entries are found by hash and a
//! caller's test, so the key need not be stored; several entries may have one hash. Branches know
//! the weight below each child, so that choosing by weight is one walk down.

use std::sync::Arc;

const FAN_OUT: usize = 8;
const BITS: u32 = 3;
/// Beyond this shift the hash is used up and leaves grow without bound.
const LAST_SHIFT: u32 = 30;
const BUCKET: usize = 32;
/// Children that hold no more than this together become one leaf again.
const MERGE: usize = BUCKET / 2;

/// How likely [`Trie::at_weight`] finds an entry, relative to the others.
pub(super) trait Weigh {
    /// Zero: never.
    fn weight(&self) -> u64 {
        0
    }
}

#[derive(Clone, Debug)]
struct Slot<E> {
    hash: u32,
    entry: E,
}

#[derive(Clone, Debug)]
enum Link<E> {
    Empty,
    Leaf(Arc<[Slot<E>]>),
    Branch(Arc<Branch<E>>),
}

#[derive(Clone, Debug)]
struct Branch<E> {
    weights: [u64; FAN_OUT],
    children: [Link<E>; FAN_OUT],
}

/// The trie; cloning it takes a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Trie<E> {
    root: Link<E>,
    weight: u64,
    len: usize,
}

impl<E> Default for Trie<E> {
    fn default() -> Self {
        Self {
            root: Link::Empty,
            weight: 0,
            len: 0,
        }
    }
}

impl<E: Clone + Weigh> Trie<E> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sum of all weights.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    /// Every entry stored under `hash`.
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = &E> {
        let (mut link, mut shift) = (&self.root, 0);
        let slots: &[Slot<E>] = loop {
            match link {
                Link::Empty => break &[],
                Link::Leaf(slots) => break slots,
                Link::Branch(branch) => {
                    link = branch
                        .children
                        .get(index(hash, shift))
                        .unwrap_or(&Link::Empty);
                    shift += BITS;
                }
            }
        };
        slots
            .iter()
            .filter(move |slot| slot.hash == hash)
            .map(|slot| &slot.entry)
    }

    /// The entry under `hash` that passes `same`.
    pub(super) fn get(&self, hash: u32, same: impl Fn(&E) -> bool) -> Option<&E> {
        self.with_hash(hash).find(|entry| same(entry))
    }

    /// Adds an entry, beside others of the same hash.
    pub(super) fn insert(&mut self, hash: u32, entry: E) {
        self.weight += entry.weight();
        self.len += 1;
        insert(&mut self.root, 0, Slot { hash, entry });
    }

    /// Takes out the entry under `hash` that passes `same`.
    pub(super) fn remove(&mut self, hash: u32, same: impl Fn(&E) -> bool) -> Option<E> {
        // Looked up first so that a miss copies nothing.
        self.get(hash, &same)?;
        let entry = remove(&mut self.root, 0, hash, &same)?;
        self.weight -= entry.weight();
        self.len -= 1;
        Some(entry)
    }

    /// Changes the entry under `hash` that passes `same`; says whether there is one.
    pub(super) fn update(
        &mut self,
        hash: u32,
        same: impl Fn(&E) -> bool,
        change: impl FnOnce(&mut E),
    ) -> bool {
        if self.get(hash, &same).is_none() {
            return false;
        }
        let Some((before, after)) = update(&mut self.root, 0, hash, &same, change) else {
            return false;
        };
        self.weight = self.weight - before + after;
        true
    }

    /// The entry that covers position `at` when entries are laid out one after another, each as long
    /// as its weight; `None` when `at` is not below [`Trie::weight`].
    pub(super) fn at_weight(&self, mut at: u64) -> Option<&E> {
        let mut link = &self.root;
        loop {
            match link {
                Link::Empty => return None,
                Link::Leaf(slots) => {
                    return slots.iter().map(|slot| &slot.entry).find(|entry| {
                        let weight = entry.weight();
                        let hit = at < weight;
                        at = at.saturating_sub(weight);
                        hit
                    });
                }
                Link::Branch(branch) => {
                    let covered = |weight: &u64| {
                        let hit = at < *weight;
                        if !hit {
                            at -= *weight;
                        }
                        hit
                    };
                    let child = branch.weights.iter().position(covered)?;
                    link = branch.children.get(child)?;
                }
            }
        }
    }

    /// Shows every entry, without allocating.
    pub(super) fn visit<'a>(&'a self, show: &mut impl FnMut(&'a E)) {
        visit(&self.root, show);
    }

    /// Every entry.
    pub(super) fn iter(&self) -> Iter<'_, E> {
        Iter {
            links: vec![&self.root],
            slots: [].iter(),
        }
    }
}

/// Entries of a trie, in no particular order.
pub(super) struct Iter<'a, E> {
    links: Vec<&'a Link<E>>,
    slots: std::slice::Iter<'a, Slot<E>>,
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    fn next(&mut self) -> Option<&'a E> {
        loop {
            if let Some(slot) = self.slots.next() {
                return Some(&slot.entry);
            }
            match self.links.pop()? {
                Link::Empty => {}
                Link::Leaf(slots) => self.slots = slots.iter(),
                Link::Branch(branch) => self.links.extend(&branch.children),
            }
        }
    }
}

fn index(hash: u32, shift: u32) -> usize {
    (hash >> shift) as usize & (FAN_OUT - 1)
}

fn insert<E: Clone + Weigh>(link: &mut Link<E>, shift: u32, slot: Slot<E>) {
    match link {
        Link::Empty => *link = Link::Leaf(Arc::from([slot])),
        Link::Leaf(slots) if slots.len() < BUCKET || shift > LAST_SHIFT => {
            *slots = slots.iter().cloned().chain(std::iter::once(slot)).collect();
        }
        Link::Leaf(slots) => {
            *link = split(slots, shift);
            insert(link, shift, slot);
        }
        Link::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let at = index(slot.hash, shift);
            if let (Some(weight), Some(child)) =
                (branch.weights.get_mut(at), branch.children.get_mut(at))
            {
                *weight += slot.entry.weight();
                insert(child, shift + BITS, slot);
            }
        }
    }
}

fn split<E: Clone + Weigh>(slots: &[Slot<E>], shift: u32) -> Link<E> {
    let part = |at: usize| {
        slots
            .iter()
            .filter(move |slot| index(slot.hash, shift) == at)
    };
    let child = |at: usize| match part(at).count() {
        0 => Link::Empty,
        _ => Link::Leaf(part(at).cloned().collect()),
    };
    let weight = |at: usize| part(at).map(|slot| slot.entry.weight()).sum();
    Link::Branch(Arc::new(Branch {
        weights: std::array::from_fn(weight),
        children: std::array::from_fn(child),
    }))
}

fn remove<E: Clone + Weigh>(
    link: &mut Link<E>,
    shift: u32,
    hash: u32,
    same: &impl Fn(&E) -> bool,
) -> Option<E> {
    match link {
        Link::Empty => None,
        Link::Leaf(slots) => {
            let at = slots
                .iter()
                .position(|slot| slot.hash == hash && same(&slot.entry))?;
            let (before, rest) = slots.split_at_checked(at)?;
            let (gone, after) = rest.split_first()?;
            let entry = gone.entry.clone();
            *link = match slots.len() {
                1 => Link::Empty,
                _ => Link::Leaf(before.iter().chain(after).cloned().collect()),
            };
            Some(entry)
        }
        Link::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let at = index(hash, shift);
            let entry = remove(branch.children.get_mut(at)?, shift + BITS, hash, same)?;
            *branch.weights.get_mut(at)? -= entry.weight();
            if let Some(merged) = merge(&branch.children) {
                *link = merged;
            }
            Some(entry)
        }
    }
}

/// One leaf instead of a branch whose leaves have become few.
fn merge<E: Clone>(children: &[Link<E>; FAN_OUT]) -> Option<Link<E>> {
    let mut total = 0;
    for child in children {
        total += match child {
            Link::Empty => 0,
            Link::Leaf(slots) => slots.len(),
            Link::Branch(_) => return None,
        };
    }
    if total > MERGE {
        return None;
    }
    let mut slots = Vec::with_capacity(total);
    for child in children {
        if let Link::Leaf(leaf) = child {
            slots.extend_from_slice(leaf);
        }
    }
    Some(if slots.is_empty() {
        Link::Empty
    } else {
        Link::Leaf(slots.into())
    })
}

/// Weights of the entry before and after the change.
fn update<E: Clone + Weigh>(
    link: &mut Link<E>,
    shift: u32,
    hash: u32,
    same: &impl Fn(&E) -> bool,
    change: impl FnOnce(&mut E),
) -> Option<(u64, u64)> {
    match link {
        Link::Empty => None,
        Link::Leaf(slots) => {
            let found = |slot: &&mut Slot<E>| slot.hash == hash && same(&slot.entry);
            let slot = Arc::make_mut(slots).iter_mut().find(found)?;
            let before = slot.entry.weight();
            change(&mut slot.entry);
            Some((before, slot.entry.weight()))
        }
        Link::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let at = index(hash, shift);
            let child = branch.children.get_mut(at)?;
            let (before, after) = update(child, shift + BITS, hash, same, change)?;
            let weight = branch.weights.get_mut(at)?;
            *weight = *weight - before + after;
            Some((before, after))
        }
    }
}

fn visit<'a, E>(link: &'a Link<E>, show: &mut impl FnMut(&'a E)) {
    match link {
        Link::Empty => {}
        Link::Leaf(slots) => slots.iter().for_each(|slot| show(&slot.entry)),
        Link::Branch(branch) => branch.children.iter().for_each(|child| visit(child, show)),
    }
}

#[cfg(test)]
mod tests;
