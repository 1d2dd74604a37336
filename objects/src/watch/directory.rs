//! The source of a directory: YAML and JSON files that users write, and `status/`, where Weft writes.
//!
//! ```text
//! notice   the kernel says which files may have changed
//! pending  when is a file worth reading?                 (pure)
//! read     its bytes become documents and problems
//! shelf    which object stands under a key now?          (pure)
//! ```
//!
//! What readers can rely on:
//! - Files count whose names end in `.yaml`, `.yml` or `.json` and do not start with a dot, in
//!   sub-folders too, [`MAX_DEPTH`] deep. A symbolic link to a file is read (a change of what it points to is
//!   seen within [`RESCAN`]), one to a folder is not followed.
//! - A file is read when its writer closes it or renames it into place, not while it grows. Good news
//!   counts at once; that a file or an object in it is gone or broken counts when it still looks so
//!   after [`SETTLE`], so an editor's save is one change.
//! - A broken document leaves its object's last good version in place; a file that does not parse at all
//!   leaves all of its objects in place. While a document of a file cannot even be named, no object of that
//!   file is taken for deleted.
//! - An object defined twice is read from the first place, by path and then position; the other is a problem.
//! - Over the user's document come the applied documents and then the patches, each in order of
//!   manager names. A patch that makes the object unreadable is left out and is a problem.
//! - A patch with a uid holds for the object of that uid only. Uids are derived, see [`crate::uid`].
//! - Every [`RESCAN`] the files are compared by size and time, in case the kernel was not heard.
//!
//! Reading happens on the caller's thread: a batch of thousands of files takes a fraction of a second.

mod notice;
mod pending;
mod read;
mod shelf;
mod scan;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::notice::{Notice, Notices};
use self::pending::{Due, Pending, Signal};
use self::read::{Reading, Stamp};
use self::shelf::{Place, Shelf};
use super::{Error, Next, Source};
use crate::change::{Batch, Problem};
use crate::kinds::Key;
use crate::raw::Packed;
use crate::status_file::{self, StatusFile};

/// How deep sub-folders are read.
pub const MAX_DEPTH: usize = 16;
/// How long bad news must last before it counts.
pub const SETTLE: Duration = Duration::from_millis(10);
/// How long a file may stay open for writing before it is read anyway.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How often all files are compared by size and time.
pub const RESCAN: Duration = Duration::from_secs(10);

/// Watches a directory of objects. See the module for what it promises.
#[derive(Debug)]
pub struct DirectorySource {
    root: PathBuf,
    notices: Notices,
    pending: Pending,
    files: HashMap<Arc<Path>, FileState>,
    shelf: Shelf,
    synced: bool,
    next_scan: Instant,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct FileState {
    stamp: Option<Stamp>,
    documents: Vec<(Key, usize, Arc<Packed>)>,
    status: Option<StatusFile>,
    problems: Vec<Problem>,
}

impl DirectorySource {
    /// Starts to watch. Must be called within a tokio runtime that has I/O and time.
    ///
    /// # Errors
    /// When the directory does not exist or the kernel refuses to watch it.
    pub fn open(directory: &Path) -> Result<DirectorySource, Error> {
        let failed = |source| Error::Watch {
            directory: directory.to_owned(),
            source,
        };
        let mut source = DirectorySource {
            root: directory.to_owned(),
            notices: Notices::new().map_err(failed)?,
            pending: Pending::default(),
            files: HashMap::new(),
            shelf: Shelf::default(),
            synced: false,
            next_scan: Instant::now(),
        };
        source.notices.watch(directory).map_err(failed)?;
        source.rescan(Instant::now(), true);
        Ok(source)
    }

    async fn advance(&mut self) -> Result<Batch, Error> {
        loop {
            self.absorb()?;
            let now = Instant::now();
            if now >= self.next_scan {
                self.rescan(now, false);
            }
            let mut batch = self.round(now)?;
            if !batch.is_empty() || !self.synced {
                self.synced = true;
                batch.synced = true;
                return Ok(batch);
            }
            let wake = self
                .pending
                .earliest()
                .map_or(self.next_scan, |at| at.min(self.next_scan));
            tokio::select! {
                ready = self.notices.ready() => ready.map_err(|source| self.watch_failed(source))?,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Takes in what the kernel has noticed so far.
    fn absorb(&mut self) -> Result<(), Error> {
        let notices = self
            .notices
            .drain()
            .map_err(|source| self.watch_failed(source))?;
        let now = Instant::now();
        for notice in notices {
            match notice {
                Notice::File(path, signal) if scan::is_wanted(&path) => {
                    self.pending.note(&path, signal, now);
                }
                Notice::File(..) => {}
                Notice::NewFolder(path) => self.scan_folder(&path, now, true),
                Notice::LostFolder(path) => {
                    self.notices.forget(&path);
                    let inside = self.files.keys().filter(|file| file.starts_with(&path));
                    inside.for_each(|file| self.pending.note(file, Signal::Vanished, now));
                }
                Notice::Overflow => self.rescan(now, true),
                Notice::RootGone => {
                    return Err(Error::Gone {
                        directory: self.root.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Looks at every file; with `all` every one is read again, otherwise those that look different.
    fn rescan(&mut self, now: Instant, all: bool) {
        self.next_scan = now + RESCAN;
        self.scan_folder(&self.root.clone(), now, all);
        let gone = self
            .files
            .keys()
            .filter(|file| std::fs::symlink_metadata(file).is_err());
        gone.for_each(|file| self.pending.note(file, Signal::Vanished, now));
    }

    fn scan_folder(&mut self, folder: &Path, now: Instant, all: bool) {
        let depth = folder
            .strip_prefix(&self.root)
            .map_or(0, |rest| rest.components().count());
        let notices = &mut self.notices;
        let found = scan::files(folder, depth, &mut |folder| notices.watch(folder));
        for (path, stamp) in found {
            let known = self.files.get(path.as_path()).and_then(|state| state.stamp);
            if all || known != Some(stamp) {
                self.pending.note_unless_noted(&path, Signal::Complete, now);
            }
        }
    }

    /// Reads what is due and says what came of it.
    fn round(&mut self, now: Instant) -> Result<Batch, Error> {
        let due = self.pending.take(now);
        if due.is_empty() {
            return Ok(Batch::default());
        }
        let status = self.root.join(status_file::FOLDER);
        let read = |path: PathBuf, due: Due| {
            let in_status = path.parent() == Some(&status);
            let (stamp, reading) = read::read(&Arc::from(path.as_path()), in_status);
            (path, due, stamp, reading)
        };
        let readings: Vec<_> = due.into_iter().map(|(path, due)| read(path, due)).collect();
        // A file that began to grow while it was read may have been read half: its writer will close it.
        self.absorb()?;
        let mut batch = Batch::default();
        let mut touched = BTreeSet::new();
        for (path, due, stamp, reading) in readings {
            if self.pending.is_growing(&path) && !due.is_forced(now) {
                self.pending.again(&path, due);
                continue;
            }
            let bad_news = self.is_bad_news(&path, &reading) && path.parent() != Some(&status);
            match due.hold(now) {
                Some(held) if bad_news => self.pending.again(&path, held),
                _ => self.accept(&path, stamp, reading, (&mut touched, &mut batch)),
            }
        }
        for key in touched {
            self.shelf.refresh(&key, &mut batch);
        }
        Ok(batch)
    }

    /// Whether something that was there would be gone or broken by this reading.
    fn is_bad_news(&self, path: &Path, reading: &Reading) -> bool {
        let Some(state) = self.files.get(path) else {
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

    /// Puts a reading in place of what was known of the file.
    fn accept(
        &mut self,
        path: &Path,
        stamp: Option<Stamp>,
        reading: Reading,
        (touched, batch): (&mut BTreeSet<Key>, &mut Batch),
    ) {
        let (file, mut state) = self
            .files
            .remove_entry(path)
            .unwrap_or_else(|| (Arc::from(path), FileState::default()));
        state.stamp = stamp;
        let problems = match reading {
            Reading::Gone => {
                self.shelve(&file, &mut state, Vec::new(), touched);
                self.shelve_status(&file, &mut state, None, touched);
                say_problems(&mut state.problems, Vec::new(), batch);
                return;
            }
            Reading::Unreadable(problem) => vec![problem],
            Reading::Status(status) => {
                self.shelve(&file, &mut state, Vec::new(), touched);
                self.shelve_status(&file, &mut state, Some(*status), touched);
                Vec::new()
            }
            Reading::Documents {
                good,
                bad,
                has_nameless,
                problems,
            } => {
                let documents = documents(&state, good, &bad, has_nameless);
                self.shelve(&file, &mut state, documents, touched);
                problems
            }
        };
        say_problems(&mut state.problems, problems, batch);
        self.files.insert(file, state);
    }

    fn shelve(
        &mut self,
        file: &Arc<Path>,
        state: &mut FileState,
        documents: Vec<(Key, usize, Arc<Packed>)>,
        touched: &mut BTreeSet<Key>,
    ) {
        for (key, index, _) in &state.documents {
            self.shelf.define(
                key,
                Place {
                    file: file.clone(),
                    index: *index,
                },
                None,
            );
            touched.insert(key.clone());
        }
        for (key, index, document) in &documents {
            let place = Place {
                file: file.clone(),
                index: *index,
            };
            self.shelf.define(key, place, Some(document.clone()));
            touched.insert(key.clone());
        }
        state.documents = documents;
    }

    fn shelve_status(
        &mut self,
        file: &Arc<Path>,
        state: &mut FileState,
        status: Option<StatusFile>,
        touched: &mut BTreeSet<Key>,
    ) {
        if let Some(old) = state.status.take() {
            self.shelf.unsay(file, &old);
            touched.insert(old.key().clone());
        }
        if let Some(new) = &status {
            self.shelf.say(file, new);
            touched.insert(new.key().clone());
        }
        state.status = status;
    }

    fn watch_failed(&self, source: std::io::Error) -> Error {
        Error::Watch {
            directory: self.root.clone(),
            source,
        }
    }
}

impl Source for DirectorySource {
    fn next(&mut self) -> Next<'_> {
        Box::pin(self.advance())
    }
}

/// The documents a file stands for now: the good ones, and the last good ones of those that are broken.
fn documents(
    state: &FileState,
    good: Vec<(Key, Arc<Packed>)>,
    bad: &[Key],
    has_nameless: bool,
) -> Vec<(Key, usize, Arc<Packed>)> {
    let here: HashSet<&Key> = good.iter().map(|(key, _)| key).collect();
    let is_kept = |key: &Key| !here.contains(key) && (has_nameless || bad.contains(key));
    let kept: Vec<_> = state
        .documents
        .iter()
        .filter(|(key, ..)| is_kept(key))
        .cloned()
        .collect();
    let good = good
        .into_iter()
        .enumerate()
        .map(|(index, (key, document))| (key, index, document));
    good.chain(kept).collect()
}

/// Replaces a list of problems and says the difference.
fn say_problems(known: &mut Vec<Problem>, new: Vec<Problem>, batch: &mut Batch) {
    batch.problems.extend(
        new.iter()
            .filter(|problem| !known.contains(problem))
            .cloned(),
    );
    batch.resolved.extend(
        known
            .iter()
            .filter(|problem| !new.contains(problem))
            .cloned(),
    );
    *known = new;
}
