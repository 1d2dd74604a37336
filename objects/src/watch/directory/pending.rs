//! Pure. When a file that may have changed is worth reading.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::{PATIENCE, SETTLE};

/// What was noticed about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// It is there as a whole: its writer closed it, or it was renamed into place.
    Complete,
    /// Somebody is writing it.
    Growing,
    /// It was deleted or renamed away.
    Vanished,
}

/// Files waiting to be read.
#[derive(Debug, Default)]
pub(super) struct Pending(HashMap<PathBuf, Due>);

/// When a file is to be read, and why not at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    at: Instant,
    /// Since when it has been waiting.
    since: Instant,
    is_growing: bool,
    /// Since when bad news about it has been held back.
    held_since: Option<Instant>,
}

impl Due {
    /// Whether it has waited so long that a writer at work no longer matters.
    pub(super) fn is_forced(&self, now: Instant) -> bool {
        now >= self.since + PATIENCE
    }

    /// Whether somebody was writing it when it was taken out.
    pub(super) fn is_growing(&self) -> bool {
        self.is_growing
    }

    /// The same with bad news held back; `None` when it has been held back long enough. Somebody at work on
    /// the file may leave it empty for as long as the machine is busy: it will be written, unless its writer hangs.
    pub(super) fn hold(self, now: Instant, is_at_work: bool) -> Option<Due> {
        let since = self.held_since.unwrap_or(now);
        let limit = if is_at_work { PATIENCE } else { SETTLE };
        (now < since + limit).then_some(Due {
            at: since + limit,
            held_since: Some(since),
            ..self
        })
    }
}

impl Pending {
    /// Takes note of a signal.
    pub(super) fn note(&mut self, path: &Path, signal: Signal, now: Instant) {
        if !self.0.contains_key(path) {
            let due = Due {
                at: now,
                since: now,
                is_growing: false,
                held_since: None,
            };
            self.0.insert(path.to_owned(), due);
        }
        let Some(due) = self.0.get_mut(path) else {
            return;
        };
        // What looked bad may look different now: its time starts anew.
        due.held_since = None;
        due.is_growing = signal == Signal::Growing;
        due.at = if due.is_growing {
            due.since + PATIENCE
        } else {
            now
        };
    }

    /// The same for something that is only suspected: what the kernel said about the file comes first.
    pub(super) fn note_unless_noted(&mut self, path: &Path, signal: Signal, now: Instant) {
        if !self.0.contains_key(path) {
            self.note(path, signal, now);
        }
    }

    /// Whether somebody has begun to write it.
    pub(super) fn is_growing(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(|due| due.is_growing)
    }

    /// Takes out what is to be read by now, in order of paths.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(PathBuf, Due)> {
        let mut due: Vec<_> = self.0.extract_if(|_, due| due.at <= now).collect();
        due.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        due
    }

    /// Puts a file back that was taken out; what was noted meanwhile stays true.
    pub(super) fn again(&mut self, path: &Path, mut due: Due) {
        if let Some(noted) = self.0.get(path) {
            due.held_since = None;
            due.is_growing = noted.is_growing;
            due.at = if noted.is_growing {
                due.since + PATIENCE
            } else {
                noted.at
            };
        }
        self.0.insert(path.to_owned(), due);
    }

    /// When the next file is due.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.0.values().map(|due| due.at).min()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{PATIENCE, Pending, SETTLE, Signal};

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_complete_file_is_due_at_once_and_a_growing_one_when_closed_or_patience_ends() {
        let (now, file) = (Instant::now(), Path::new("a"));
        let mut pending = Pending::default();
        pending.note(file, Signal::Growing, now);
        assert!(pending.take(now).is_empty() && pending.is_growing(file));
        pending.note(file, Signal::Complete, now + MILLISECOND);
        assert_eq!(pending.earliest(), Some(now + MILLISECOND));
        pending.note(file, Signal::Growing, now + MILLISECOND);
        assert_eq!(
            pending.earliest(),
            Some(now + PATIENCE),
            "patience counts from the first signal"
        );
        let (_, due) = pending.take(now + PATIENCE).remove(0);
        assert!(due.is_forced(now + PATIENCE) && pending.earliest().is_none());
    }

    #[test]
    fn bad_news_is_held_until_it_has_lasted_and_anew_after_each_sign_of_life() {
        let (now, file) = (Instant::now(), Path::new("a"));
        let mut pending = Pending::default();
        pending.note(file, Signal::Vanished, now);
        let (_, due) = pending.take(now).remove(0);
        pending.again(file, due.hold(now, false).unwrap());
        assert!(pending.take(now).is_empty());
        let (_, due) = pending.take(now + SETTLE).remove(0);
        assert!(due.hold(now + SETTLE, false).is_none());

        assert!(
            due.hold(now + SETTLE, true).is_some(),
            "its writer is at work"
        );
        assert!(due.hold(now + PATIENCE, true).is_none());

        pending.again(file, due);
        pending.note(file, Signal::Complete, now + SETTLE);
        let (_, due) = pending.take(now + SETTLE).remove(0);
        assert!(due.hold(now + SETTLE, false).is_some());
    }
}
