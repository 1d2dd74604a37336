//! Pure. What every file says, and what a new reading of it changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::read::{Reading, Stamp};
use super::shelf::{Place, Shelf};
use crate::change::{Batch, Problem};
use crate::kinds::Key;
use crate::raw::Packed;
use crate::status_file::StatusFile;

/// Everything the files say.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    files: HashMap<Arc<Path>, FileState>,
    shelf: Shelf,
    /// Keys about which something changed since they were last refreshed.
    touched: BTreeSet<Key>,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct FileState {
    stamp: Option<Stamp>,
    documents: Vec<Placed>,
    /// For a file under `status/`: whom it is about.
    about: Option<Key>,
    problems: Vec<Problem>,
}

/// A document that counts, and its position among those of its file.
type Placed = (Key, usize, Arc<Packed>);

impl Ledger {
    /// The files that say something.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(AsRef::as_ref)
    }

    /// What a file looked like when it was read.
    pub(super) fn stamp(&self, file: &Path) -> Option<Stamp> {
        self.files.get(file)?.stamp
    }

    /// Whether something that was there would be gone or broken by this reading.
    pub(super) fn is_bad_news(&self, file: &Path, reading: &Reading) -> bool {
        let Some(state) = self.files.get(file) else {
            return false;
        };
        match reading {
            Reading::Gone | Reading::Unreadable(_) => true,
            Reading::Status(_) => false,
            Reading::Documents { good, problems, .. } => {
                let keys: HashSet<&Key> = good.iter().map(|(key, _)| key).collect();
                !problems.is_empty() || state.documents.iter().any(|(key, ..)| !keys.contains(key))
            }
        }
    }

    /// Puts a reading in place of what was known of the file, and its problems into the batch.
    pub(super) fn accept(
        &mut self,
        file: &Path,
        stamp: Option<Stamp>,
        reading: Reading,
        batch: &mut Batch,
    ) {
        let known = self.files.remove_entry(file);
        let (file, mut state) = known.unwrap_or_else(|| (Arc::from(file), FileState::default()));
        state.stamp = stamp;
        let is_gone = matches!(reading, Reading::Gone);
        let problems = match reading {
            Reading::Gone => {
                self.place(&file, &mut state, Vec::new());
                self.quote(&file, &mut state, None);
                Vec::new()
            }
            Reading::Unreadable(problem) => vec![problem],
            Reading::Status(status) => {
                self.quote(&file, &mut state, Some(*status));
                Vec::new()
            }
            Reading::Documents {
                good,
                bad,
                has_nameless,
                problems,
            } => {
                let documents = documents(&state, good, &bad, has_nameless);
                self.place(&file, &mut state, documents);
                problems
            }
        };
        batch.replace_problems(&mut state.problems, problems);
        if !is_gone {
            self.files.insert(file, state);
        }
    }

    /// Works out every object that may be different and adds those that are to the batch, by kind, then
    /// namespace, then name.
    pub(super) fn refresh(&mut self, batch: &mut Batch) {
        for key in std::mem::take(&mut self.touched) {
            self.shelf.refresh(&key, batch);
        }
    }

    /// Puts a user's documents on the shelf in place of those that stood there from this file.
    fn place(&mut self, file: &Arc<Path>, state: &mut FileState, documents: Vec<Placed>) {
        let place = |index: usize| Place {
            file: file.clone(),
            index,
        };
        for (key, index, _) in std::mem::take(&mut state.documents) {
            self.shelf.define(&key, place(index), None);
            self.touched.insert(key);
        }
        for (key, index, document) in &documents {
            self.shelf
                .define(key, place(*index), Some(document.clone()));
            self.touched.insert(key.clone());
        }
        state.documents = documents;
    }

    /// The same for what a file under `status/` says.
    fn quote(&mut self, file: &Arc<Path>, state: &mut FileState, status: Option<StatusFile>) {
        if let Some(key) = state.about.take() {
            self.shelf.unsay(&key, file);
            self.touched.insert(key);
        }
        if let Some(status) = status {
            let key = status.key().clone();
            self.shelf.say(file, status);
            self.touched.insert(key.clone());
            state.about = Some(key);
        }
    }
}

/// The documents a file stands for now: the good ones, and the last good ones of those that are broken.
fn documents(
    state: &FileState,
    good: Vec<(Key, Arc<Packed>)>,
    bad: &HashSet<Key>,
    has_nameless: bool,
) -> Vec<Placed> {
    let here: HashSet<&Key> = good.iter().map(|(key, _)| key).collect();
    let is_kept = |key: &Key| !here.contains(key) && (has_nameless || bad.contains(key));
    let last_good = state.documents.iter().filter(|(key, ..)| is_kept(key));
    let kept: Vec<Placed> = last_good.cloned().collect();
    let good = good.into_iter().enumerate();
    good.map(|(index, (key, document))| (key, index, document))
        .chain(kept)
        .collect()
}
