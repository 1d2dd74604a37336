//! Pure. How much of its share an endpoint takes while it is new.
//!
//! Source: docs/compat.md#balancing.

use std::time::Duration;

use mesh::model::destination::Warmup;

/// The part of its weight that an endpoint of this age takes, above 0 and at most 1: the age's part of
/// the ramp to the power of `1 / aggression`, at least the minimum.
pub(super) fn part(warmup: &Warmup, age: Duration) -> f64 {
    if age >= warmup.duration {
        return 1.0;
    }
    let ramp = age.as_secs_f64() / warmup.duration.as_secs_f64();
    let aggression = if warmup.aggression > 0.0 {
        warmup.aggression
    } else {
        1.0
    };
    let minimum = f64::from(warmup.minimum_percent.clamp(1, 100)) / 100.0;
    ramp.powf(1.0 / aggression).clamp(minimum, 1.0)
}

/// Whether `random` lets an endpoint of this age take what was drawn for it.
pub(super) fn admits(warmup: &Warmup, age: Duration, random: u64) -> bool {
    let part = part(warmup, age);
    part >= 1.0 || (random >> 11) as f64 / ((1_u64 << 53) as f64) < part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warmup(minimum_percent: u32, aggression: f64) -> Warmup {
        Warmup {
            duration: Duration::from_secs(100),
            minimum_percent,
            aggression,
        }
    }

    #[test]
    fn the_share_grows_with_age() {
        for (minimum, aggression, age, expected) in [
            (10, 1.0, 0, 0.1),
            (10, 1.0, 5, 0.1),
            (10, 1.0, 25, 0.25),
            (10, 1.0, 50, 0.5),
            (10, 1.0, 100, 1.0),
            (10, 1.0, 1000, 1.0),
            (10, 2.0, 25, 0.5),
            (10, 0.5, 50, 0.25),
            (50, 1.0, 25, 0.5),
            (0, 1.0, 0, 0.01),
            (100, 1.0, 0, 1.0),
            (10, 0.0, 50, 0.5),
        ] {
            let part = part(&warmup(minimum, aggression), Duration::from_secs(age));
            assert!(
                (part - expected).abs() < 1e-9,
                "{minimum} {aggression} {age}: {part}"
            );
        }
    }

    #[test]
    fn admits_as_often_as_the_share() {
        let warmup = warmup(10, 1.0);
        let half = Duration::from_secs(50);
        assert!(admits(&warmup, half, u64::MAX / 2 - (1 << 20)));
        assert!(!admits(&warmup, half, u64::MAX / 2 + (1 << 20)));
        assert!(admits(&warmup, Duration::from_secs(100), u64::MAX));
    }
}
