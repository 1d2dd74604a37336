//! What goes wrong next, and what was asked so far.

use std::time::Duration;

/// How many requests are remembered.
const MEMORY: usize = 200_000;

/// Requests that are refused.
#[derive(Clone, Debug)]
pub struct Refuse {
    /// A method; every one when empty.
    pub method: &'static str,
    /// What the path with its query must hold.
    pub part: String,
    /// How many.
    pub times: usize,
    /// The status code.
    pub code: u16,
    /// The word of the `Status`, empty for an answer in plain words.
    pub reason: &'static str,
    /// Seconds of the header `Retry-After`; none when 0.
    pub retry_after: u64,
}

/// What happens to watches that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Their connections break in the middle.
    Drop,
    /// They end as if their time were over.
    End,
    /// An error event 410 comes.
    Expire,
    /// Half a line comes, and the connection ends.
    Cut,
}

/// What goes wrong.
#[derive(Debug, Default)]
pub struct Mischief {
    /// Requests that are refused, the first that fits.
    pub refuse: Vec<Refuse>,
    /// How long lists take.
    pub slow_lists: Duration,
    /// Every event is said twice.
    pub twice: bool,
    /// After every event the one before is said once more.
    pub late: bool,
    /// Watches say bookmarks and no events; what is held back comes when this ends.
    pub only_bookmarks: bool,
    asked: Vec<(String, String)>,
}

impl Mischief {
    /// Notes a request; how it is refused, if it is.
    pub(super) fn ask(&mut self, method: &str, path: &str) -> Option<Refuse> {
        if self.asked.len() < MEMORY {
            self.asked.push((method.to_owned(), path.to_owned()));
        }
        let fits = |it: &&mut Refuse| {
            it.times > 0 && (it.method.is_empty() || it.method == method) && path.contains(&it.part)
        };
        let found = self.refuse.iter_mut().find(fits)?;
        found.times -= 1;
        Some(found.clone())
    }

    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        let asked = self.asked.iter();
        asked
            .filter(|(of, path)| of.contains(method) && path.contains(part))
            .count()
    }
}
