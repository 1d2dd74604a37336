//! Pure. What a source of objects says: changes, problems, and whether the picture is whole.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::object::Object;

pub use crate::kinds::{Key, Kind};
pub use crate::object::Class;

/// An object is new or different, or gone.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which object.
    pub key: Key,
    /// Its present form; `None` when it is gone.
    pub object: Option<Arc<Object>>,
}

/// Something wrong in a document; the last good version of the object, if there was one, keeps serving.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file it is in; empty when the object comes from an API server.
    pub file: PathBuf,
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// The object, as far as it could be read.
    pub key: Option<Key>,
    /// The field, as `spec.ports[0].port`; empty when the whole document is meant.
    pub field: String,
    /// What is wrong, in words.
    pub reason: String,
    /// Whether something is broken at all.
    pub class: Class,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}", self.file.display())?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            f.write_str(": ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)
    }
}

/// Changes that belong together, at most one per key.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What changed.
    pub changes: Vec<Change>,
    /// Problems that are new with this batch.
    pub problems: Vec<Problem>,
    /// Problems of earlier batches that no longer exist.
    pub resolved: Vec<Problem>,
    /// Whether everything that existed when the source was opened has been said by now. True from the
    /// first batch of a directory on; a large API server may need several batches to get there.
    pub synced: bool,
}

impl Batch {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.problems.is_empty() && self.resolved.is_empty()
    }

    /// Puts a list of problems in place of what was known and says the difference.
    pub(crate) fn replace_problems(&mut self, known: &mut Vec<Problem>, new: Vec<Problem>) {
        if known.is_empty() && new.is_empty() {
            return;
        }
        let (before, after): (HashSet<_>, HashSet<_>) =
            (known.iter().collect(), new.iter().collect());
        self.problems
            .extend(after.difference(&before).map(|problem| (*problem).clone()));
        self.resolved
            .extend(before.difference(&after).map(|problem| (*problem).clone()));
        self.problems.sort_unstable();
        self.resolved.sort_unstable();
        *known = new;
    }
}
