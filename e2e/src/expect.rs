//! Wait for a condition with a deadline; never sleep for luck.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is an answer.
///
/// # Errors
/// What was waited for, and the last failure, when the deadline is over.
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if begun.elapsed() > deadline {
            let late = format!("not within {} s: {what}", deadline.as_secs());
            return Err(last.map_or_else(|| anyhow!(late.clone()), |e| e.context(late.clone())));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Looks until it is so, without blocking the thread.
///
/// # Panics
/// When the deadline is over.
#[expect(clippy::panic, reason = "a test waits, and fails by panicking")]
pub async fn wait(deadline: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > deadline {
            panic!("not within {} s", deadline.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
