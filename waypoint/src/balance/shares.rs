//! Pure. Finds whose share a position is in, at a cost that does not grow with the number of shares.
//!
//! Shares lie one behind the other on a line. A guide divides the line into as many equal pieces as
//! there are shares and knows the first share of each piece, so that a search looks at two on average.

/// Shares of a line, by weight.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Where each share ends; empty when all are of length 1.
    ends: Vec<u64>,
    /// First share of each piece.
    guide: Vec<u32>,
    /// How many there are.
    count: usize,
    /// Length of the line: the sum of weights, divided by what all have in common.
    total: u64,
    /// How far one turn goes on; has no factor in common with `total`.
    step: u64,
}

impl Shares {
    /// Shares of these weights, in this order. A weight of 0 is never found.
    pub(super) fn new(weights: &[u64]) -> Self {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let total: u64 = weights.iter().map(|w| w / divisor).sum();
        let count = weights.len();
        if weights.iter().all(|w| *w == divisor) {
            return Self {
                count,
                total,
                step: 1,
                ..Self::default()
            };
        }
        let mut end = 0;
        let ends: Vec<u64> = weights
            .iter()
            .map(|w| {
                end += w / divisor;
                end
            })
            .collect();
        let mut guide = Vec::with_capacity(count);
        let mut share = 0;
        for piece in 0..count as u64 {
            let start = scale_exact(piece, total, count as u64);
            while ends.get(share).is_some_and(|end| *end <= start) {
                share += 1;
            }
            guide.push(share as u32);
        }
        Self {
            ends,
            guide,
            count,
            total,
            step: spreading_step(total),
        }
    }

    /// How many shares there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Whether all weights are equal.
    pub(super) fn are_equal(&self) -> bool {
        self.ends.is_empty()
    }

    /// The share at this position; `None` beyond the end.
    fn at(&self, position: u64) -> Option<usize> {
        if position >= self.total {
            return None;
        }
        if self.are_equal() {
            return Some(position as usize);
        }
        let piece = scale_exact(position, self.count as u64, self.total);
        let mut share = *self.guide.get(piece as usize)? as usize;
        while *self.ends.get(share)? <= position {
            share += 1;
        }
        Some(share)
    }

    /// A share at random, as likely as its weight. `None` when all weights are 0.
    pub(super) fn drawn(&self, random: u64) -> Option<usize> {
        self.at(scale(random, self.total))
    }

    /// The share whose turn it is after `turns` turns. In as many turns as the sum of (reduced)
    /// weights each comes exactly as often as its weight, and the turns of one lie far apart.
    pub(super) fn turn(&self, turns: u64) -> Option<usize> {
        let turn = turns.checked_rem(self.total)?;
        let position = u128::from(turn) * u128::from(self.step) % u128::from(self.total);
        self.at(position as u64)
    }
}

/// A position below `total`, as far along as `random` is in its range.
pub(super) fn scale(random: u64, total: u64) -> u64 {
    ((u128::from(random) * u128::from(total)) >> 64) as u64
}

/// `value * to / from`, rounded down; `from` is not 0 where there is a position at all.
fn scale_exact(value: u64, to: u64, from: u64) -> u64 {
    (u128::from(value) * u128::from(to))
        .checked_div(u128::from(from))
        .unwrap_or(0) as u64
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A step near the golden section of `total`, without a common factor.
fn spreading_step(total: u64) -> u64 {
    let mut step = (total as f64 * 0.618_033_988_749_895) as u64;
    step = step.max(1);
    while total > 1 && gcd(step, total) != 1 {
        step += 1;
    }
    step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_position_belongs_to_the_share_it_lies_in() {
        for (weights, expected) in [
            (vec![1, 1, 1], vec![0, 1, 2]),
            (vec![5, 5], vec![0, 1]),
            (vec![2, 0, 1], vec![0, 0, 2]),
            (vec![10, 20, 10], vec![0, 1, 1, 2]),
            (vec![0, 0], vec![]),
            (vec![], vec![]),
        ] {
            let shares = Shares::new(&weights);
            let found: Vec<_> = (0..shares.total).filter_map(|p| shares.at(p)).collect();
            assert_eq!(found, expected, "{weights:?}");
            assert_eq!(shares.at(shares.total), None);
        }
    }

    #[test]
    fn nothing_is_drawn_where_nothing_has_weight() {
        assert_eq!(Shares::new(&[]).drawn(7), None);
        assert_eq!(Shares::new(&[0, 0]).drawn(u64::MAX), None);
        assert_eq!(Shares::new(&[]).turn(7), None);
    }

    #[test]
    fn equal_shares_take_turns_in_order() {
        let shares = Shares::new(&[3, 3, 3]);
        let turns: Vec<_> = (0..6).filter_map(|n| shares.turn(n)).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn a_round_of_turns_gives_each_exactly_its_weight(
            weights in proptest::collection::vec(0_u64..50, 1..20),
            start in 0_u64..1000,
        ) {
            let shares = Shares::new(&weights);
            let divisor = weights.iter().copied().fold(0, gcd).max(1);
            let mut seen = vec![0_u64; weights.len()];
            for turn in start..start + shares.total {
                seen[shares.turn(turn).unwrap()] += divisor;
            }
            prop_assert_eq!(seen, weights);
        }

        #[test]
        fn every_position_is_found(weights in proptest::collection::vec(0_u64..1_000_000, 1..60)) {
            let shares = Shares::new(&weights);
            let mut start = 0;
            let divisor = weights.iter().copied().fold(0, gcd).max(1);
            for (index, weight) in weights.iter().enumerate() {
                let length = weight / divisor;
                if length > 0 {
                    prop_assert_eq!(shares.at(start), Some(index));
                    prop_assert_eq!(shares.at(start + length - 1), Some(index));
                }
                start += length;
            }
        }
    }
}
