//! Pure. How long to wait before the node agent is dialled again.

use std::time::Duration;

/// The first pause, and the longest. Source: docs/compat.md#node-socket.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(15);

/// Pauses that double, until a session went well.
#[derive(Debug, PartialEq, Eq)]
pub struct BackOff {
    next: Duration,
}

impl BackOff {
    /// The pause before the next attempt; the one after it is twice as long.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }

    /// The agent has been heard to the end of its snapshot.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_session_that_went_well() {
        let mut back_off = BackOff::default();
        let pauses: Vec<u128> = (0..13).map(|_| back_off.pause().as_millis()).collect();
        let expected = [
            10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 15_000, 15_000,
        ];
        assert_eq!(pauses, expected);
        back_off.reset();
        assert_eq!(back_off.pause().as_millis(), 10);
    }
}
