//! Pure. Points on a ring: a hash belongs to the endpoint of the next point. When an endpoint goes,
//! only its own hashes move. Source: docs/compat.md#balancing.

use twox_hash::XxHash64;

/// More points than this a ring never has.
const MOST_POINTS: f64 = 8_388_608.0;

/// More than this on average an endpoint gets only where the least number of points asks for it: one
/// whose share is smaller still has its one point.
const MOST_EACH: f64 = 64.0;

/// Points by hash.
#[derive(Debug)]
pub(super) struct Ring {
    points: Vec<(u64, u32)>,
    /// First point of each of as many equal arcs as there are points, rounded up to a power of two.
    guide: Vec<u32>,
    /// How far a hash is shifted to be the number of its arc.
    shift: u32,
}

impl Ring {
    /// A ring of at least `least` points; endpoints are `(index, key, weight)`. Each has as many
    /// points as its weight says, at least one if it has any.
    pub(super) fn new(endpoints: &[(u32, u64, f64)], least: u32) -> Self {
        let per_weight = points_per_weight(endpoints, least);
        let mut points = Vec::new();
        for (index, key, weight) in endpoints {
            if *weight <= 0.0 {
                continue;
            }
            // The key decides where a part of a point becomes a whole one: right on average.
            let rounding = *key as f64 / u64::MAX as f64;
            let own = ((weight * per_weight + rounding) as u64).max(1);
            let point = |n: u64| (XxHash64::oneshot(n, &key.to_le_bytes()), *index);
            points.extend((0..own).map(point));
        }
        points.sort_unstable();
        let arcs = points.len().next_power_of_two().max(2);
        let shift = 64 - arcs.trailing_zeros();
        let mut guide = Vec::with_capacity(arcs);
        let mut first = 0;
        for arc in 0..arcs as u64 {
            while points
                .get(first)
                .is_some_and(|(hash, _)| *hash < arc << shift)
            {
                first += 1;
            }
            guide.push(first as u32);
        }
        Self {
            points,
            guide,
            shift,
        }
    }

    /// The endpoint that the hash belongs to among those that are usable.
    pub(super) fn find(&self, hash: u64, is_usable: impl Fn(u32) -> bool) -> Option<u32> {
        let mut start = *self.guide.get((hash >> self.shift) as usize)? as usize;
        while self
            .points
            .get(start)
            .is_some_and(|(point, _)| *point < hash)
        {
            start += 1;
        }
        let (before, after) = self.points.split_at_checked(start)?;
        let mut around = after.iter().chain(before).map(|(_, index)| *index);
        around.find(|index| is_usable(*index))
    }
}

/// How many points a weight of 1 has. Always a power of two, so that it stays the same when an endpoint
/// comes or goes, and with it the points of all others, except where the sum passes such a power.
fn points_per_weight(endpoints: &[(u32, u64, f64)], least: u32) -> f64 {
    let weights = || endpoints.iter().map(|(_, _, weight)| *weight);
    let total: f64 = weights().sum();
    let smallest = weights().filter(|w| *w > 0.0).fold(f64::INFINITY, f64::min);
    if total <= 0.0 {
        return 1.0;
    }
    let exact = (1.0 / smallest).min(endpoints.len() as f64 * MOST_EACH / total);
    let wanted = exact.max(f64::from(least) / total);
    let most = (MOST_POINTS / total).log2().floor();
    wanted.log2().ceil().min(most).exp2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoints(weights: &[u32]) -> Vec<(u32, u64, f64)> {
        let row = |(index, weight): (usize, &u32)| {
            let key = XxHash64::oneshot(9, &index.to_le_bytes());
            (index as u32, key, f64::from(*weight))
        };
        weights.iter().enumerate().map(row).collect()
    }

    fn hash(n: u64) -> u64 {
        XxHash64::oneshot(77, &n.to_le_bytes())
    }

    #[test]
    fn has_points_by_weight_and_at_least_so_many() {
        for (weights, least, expected) in [
            (vec![1, 1], 1024, vec![512, 512]),
            (vec![1, 3], 1024, vec![256, 768]),
            (vec![1, 1, 1], 4, vec![2, 2, 2]),
            (vec![1; 10], 1024, vec![128; 10]),
            (vec![1; 9], 1024, vec![128; 9]),
            (vec![1, 0, 1], 2, vec![1, 0, 1]),
            (vec![1, 9], 1, vec![1, 9]),
            (vec![8], 1, vec![1]),
            (vec![1, 1], 0, vec![1, 1]),
        ] {
            let ring = Ring::new(&endpoints(&weights), least);
            let mut points = vec![0; weights.len()];
            for (_, index) in &ring.points {
                points[*index as usize] += 1;
            }
            assert_eq!(points, expected, "{weights:?} {least}");
        }
    }

    #[test]
    fn a_ring_has_an_end() {
        let unequal = endpoints(&[1, 16_777_215]);
        assert!((128..=129).contains(&Ring::new(&unequal, 1).points.len()));
        assert!((1024..=1025).contains(&Ring::new(&unequal, 1024).points.len()));
        assert_eq!(points_per_weight(&endpoints(&[1]), u32::MAX), MOST_POINTS);
    }

    #[test]
    fn parts_of_points_are_right_on_average() {
        let weights: Vec<u32> = (0..4000).map(|n| 2 + n % 2).collect();
        let ring = Ring::new(&endpoints(&weights), 1);
        let heavy = ring.points.iter().filter(|(_, index)| index % 2 == 1);
        let share = heavy.count() as f64 / ring.points.len() as f64;
        assert!((share - 0.6).abs() < 0.02, "{share}");
    }

    #[test]
    fn an_empty_ring_finds_nothing() {
        assert_eq!(Ring::new(&[], 1024).find(5, |_| true), None);
        let ring = Ring::new(&endpoints(&[1, 1]), 1024);
        assert_eq!(ring.find(5, |_| false), None);
    }

    #[test]
    fn the_ring_closes() {
        let ring = Ring::new(&endpoints(&[1, 1, 1]), 8);
        let first = ring.points[0].1;
        assert_eq!(ring.find(u64::MAX, |_| true), Some(first));
        assert_eq!(ring.find(0, |_| true), Some(first));
    }

    proptest! {
        #[test]
        fn when_one_goes_only_its_own_hashes_move(
            weights in proptest::collection::vec(1_u32..5, 2..12),
            gone in 0_u32..12,
        ) {
            let all = endpoints(&weights);
            let gone = gone % weights.len() as u32;
            let ring = Ring::new(&all, 1024);
            for n in 0..500 {
                let before = ring.find(hash(n), |_| true).unwrap();
                let after = ring.find(hash(n), |index| index != gone).unwrap();
                prop_assert!(after != gone);
                if before != gone {
                    prop_assert_eq!(before, after);
                }
            }
        }

        #[test]
        fn the_guide_finds_what_a_search_finds(
            weights in proptest::collection::vec(1_u32..5, 1..12),
            hash in any::<u64>(),
        ) {
            let ring = Ring::new(&endpoints(&weights), 64);
            let at = ring.points.partition_point(|(point, _)| *point < hash) % ring.points.len();
            prop_assert_eq!(ring.find(hash, |_| true), Some(ring.points[at].1));
        }
    }
}
