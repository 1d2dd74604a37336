//! Pure. How long to wait before the next connection to the controller.
//!
//! Source: contract, docs/compat.md#delta-discovery: 10 ms, doubled, at most 15 s; 10 ms after a normal break.

use std::time::Duration;

/// First wait, and the wait after a normal break.
pub const FIRST: Duration = Duration::from_millis(10);
/// Longest wait.
pub const LONGEST: Duration = Duration::from_secs(15);

/// How a connection to the controller ended, as far as the wait cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The stream had delivered something and was then closed in an ordinary way.
    Normally,
    /// The stream had delivered something and then failed.
    AfterProgress,
    /// Nothing was ever received: refused, unreachable, or closed at once.
    WithoutProgress,
}

/// The wait that comes next.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Starts at [`FIRST`].
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// The wait after a connection that ended this way. A server that closes every stream at once is
    /// not called a hundred times a second: without progress even an ordinary close counts as failure.
    pub fn after(&mut self, ended: Ended) -> Duration {
        match ended {
            Ended::Normally => {
                self.next = FIRST;
                FIRST
            }
            Ended::AfterProgress => {
                self.next = FIRST;
                self.grow()
            }
            Ended::WithoutProgress => self.grow(),
        }
    }

    fn grow(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        wait
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_ten_milliseconds_to_fifteen_seconds() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..13)
            .map(|_| backoff.after(Ended::WithoutProgress).as_millis())
            .collect();
        assert_eq!(waits[..4], [10, 20, 40, 80]);
        assert_eq!(waits[10..], [10_240, 15_000, 15_000]);
    }

    #[test]
    fn is_quick_again_after_a_normal_break() {
        let mut backoff = Backoff::new();
        for _ in 0..8 {
            backoff.after(Ended::WithoutProgress);
        }
        assert_eq!(backoff.after(Ended::Normally), FIRST);
        assert_eq!(backoff.after(Ended::WithoutProgress), FIRST);
    }

    #[test]
    fn starts_over_after_a_stream_that_worked() {
        let mut backoff = Backoff::new();
        for _ in 0..8 {
            backoff.after(Ended::WithoutProgress);
        }
        assert_eq!(backoff.after(Ended::AfterProgress), FIRST);
        assert_eq!(backoff.after(Ended::AfterProgress), FIRST);
        assert_eq!(backoff.after(Ended::WithoutProgress), FIRST * 2);
    }
}
