//! Pure. A table of prime size that endpoints fill by turns, each in an order of its own: every hash
//! is one look. When an endpoint goes, little but its own hashes moves.
//! Source: docs/compat.md#balancing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use twox_hash::XxHash64;

/// Larger tables there are none.
const LARGEST: u32 = 5_000_011;

/// Looks before all slots are tried in order.
const LOOKS: u64 = 32;

/// Slots with indices of endpoints.
#[derive(Debug)]
pub(super) struct Maglev {
    slots: Vec<u32>,
}

/// A slot that nobody has yet.
const FREE: u32 = u32::MAX;

struct Filler {
    index: u32,
    weight: f64,
    /// Next slot it wants.
    next: u64,
    step: u64,
}

impl Maglev {
    /// A table of `size` slots, or the next prime; endpoints are `(index, key, weight)`. The cost grows
    /// with the size alone, whatever the weights are.
    pub(super) fn new(endpoints: &[(u32, u64, f64)], size: u32) -> Self {
        let size = prime_from(size);
        let wide = u64::from(size);
        let weighty = endpoints.iter().filter(|(_, _, weight)| *weight > 0.0);
        let mut fillers: Vec<Filler> = weighty
            .map(|(index, key, weight)| Filler {
                index: *index,
                weight: *weight,
                next: XxHash64::oneshot(0, &key.to_le_bytes()) % wide,
                step: XxHash64::oneshot(1, &key.to_le_bytes()) % (wide - 1) + 1,
            })
            .collect();
        // Whose turn it is: the earliest first, who has more weight comes more often. The bits of
        // positive numbers are in the order of the numbers.
        let mut turns: BinaryHeap<Reverse<(u64, usize)>> = fillers
            .iter()
            .enumerate()
            .map(|(at, filler)| Reverse(((1.0 / filler.weight).to_bits(), at)))
            .collect();
        let mut free = if turns.is_empty() { 0 } else { size };
        let mut slots = vec![FREE; free as usize];
        while free > 0
            && let Some(Reverse((time, at))) = turns.pop()
            && let Some(filler) = fillers.get_mut(at)
        {
            free -= u32::from(filler.take(&mut slots));
            let next = f64::from_bits(time) + 1.0 / filler.weight;
            turns.push(Reverse((next.to_bits(), at)));
        }
        Self { slots }
    }

    /// The endpoint that the hash belongs to among those that are usable.
    pub(super) fn find(&self, hash: u64, is_usable: impl Fn(u32) -> bool) -> Option<u32> {
        let size = self.slots.len() as u64;
        let slot = |hash: u64| self.slots.get(hash.checked_rem(size)? as usize).copied();
        let mut looked = hash;
        for look in 0..LOOKS {
            let index = slot(looked)?;
            if is_usable(index) {
                return Some(index);
            }
            // Elsewhere each time, so that one endpoint's hashes spread over all the others.
            looked = XxHash64::oneshot(look, &hash.to_le_bytes());
        }
        let (before, after) = self.slots.split_at_checked((looked % size) as usize)?;
        let mut around = after.iter().chain(before).copied();
        around.find(|index| is_usable(*index))
    }
}

impl Filler {
    /// Takes the next free slot in its own order, which visits every slot.
    fn take(&mut self, slots: &mut [u32]) -> bool {
        let size = slots.len() as u64;
        for _ in 0..size {
            let at = self.next as usize;
            self.next = (self.next + self.step) % size;
            if let Some(slot) = slots.get_mut(at)
                && *slot == FREE
            {
                *slot = self.index;
                return true;
            }
        }
        false
    }
}

/// The smallest prime from `size` on, at most [`LARGEST`].
fn prime_from(size: u32) -> u32 {
    let size = size.clamp(3, LARGEST);
    (size..=LARGEST).find(|n| is_prime(*n)).unwrap_or(LARGEST)
}

fn is_prime(number: u32) -> bool {
    let mut divisors = (2..).take_while(|d| d * d <= number);
    number > 1 && !divisors.any(|divisor| number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(weights: &[u32]) -> Vec<(u32, u64, f64)> {
        let row = |(index, weight): (usize, &u32)| {
            let key = XxHash64::oneshot(9, &index.to_le_bytes());
            (index as u32, key, f64::from(*weight))
        };
        weights.iter().enumerate().map(row).collect()
    }

    fn shares(table: &Maglev, count: usize) -> Vec<f64> {
        let mut shares = vec![0.0; count];
        for index in &table.slots {
            shares[*index as usize] += 1.0 / table.slots.len() as f64;
        }
        shares
    }

    #[test]
    fn the_size_is_prime() {
        for (size, expected) in [
            (0, 3),
            (65_537, 65_537),
            (65_536, 65_537),
            (4, 5),
            (5_000_011, 5_000_011),
            (u32::MAX, 5_000_011),
        ] {
            assert_eq!(prime_from(size), expected);
        }
        assert_eq!(Maglev::new(&endpoints(&[1]), 100).slots.len(), 101);
    }

    #[test]
    fn slots_are_shared_by_weight() {
        for weights in [
            vec![1, 1],
            vec![1, 3],
            vec![5],
            vec![1, 0, 1],
            vec![3, 2, 5, 10],
        ] {
            let total: u32 = weights.iter().sum();
            let table = Maglev::new(&endpoints(&weights), 65_537);
            for (share, weight) in shares(&table, weights.len()).iter().zip(&weights) {
                let wanted = f64::from(*weight) / f64::from(total);
                assert!((share - wanted).abs() < 0.001, "{weights:?}: {share}");
            }
        }
    }

    #[test]
    fn more_endpoints_than_slots_fill_all_slots() {
        let table = Maglev::new(&endpoints(&[1; 20]), 7);
        assert_eq!(table.slots.len(), 7);
        assert!(table.slots.iter().all(|index| *index != FREE));
    }

    #[test]
    fn an_empty_table_finds_nothing() {
        assert_eq!(Maglev::new(&[], 65_537).find(5, |_| true), None);
        let table = Maglev::new(&endpoints(&[1, 1]), 101);
        assert_eq!(table.find(5, |_| false), None);
        for n in 0..200 {
            assert_eq!(table.find(n, |index| index == 1), Some(1));
        }
    }

    #[test]
    fn an_unusable_endpoint_moves_only_its_own_hashes_and_they_spread() {
        let table = Maglev::new(&endpoints(&[1; 5]), 65_537);
        let mut heirs = [0; 5];
        for n in 0_u64..5000 {
            let hash = XxHash64::oneshot(3, &n.to_le_bytes());
            let before = table.find(hash, |_| true).unwrap();
            let after = table.find(hash, |index| index != 2).unwrap();
            if before == 2 {
                heirs[after as usize] += 1;
            } else {
                assert_eq!(before, after);
            }
        }
        assert_eq!(heirs[2], 0);
        for heir in [0, 1, 3, 4] {
            assert!((180..320).contains(&heirs[heir]), "{heirs:?}");
        }
    }

    #[test]
    fn a_table_without_one_endpoint_differs_little_elsewhere() {
        let all = endpoints(&[1; 10]);
        let with = Maglev::new(&all, 65_537);
        let without = Maglev::new(&all[..9], 65_537);
        let pairs = with.slots.iter().zip(&without.slots);
        let moved = pairs.filter(|(a, b)| **a != 9 && a != b).count();
        assert!(moved < with.slots.len() / 20, "{moved}");
    }
}
