//! The source of a directory: YAML and JSON files that users write, and `status/`, where Weft writes.
//!
//! ```text
//! notice   the kernel says which files may have changed (scan: which there are)
//! pending  when is a file worth reading?                 (pure)
//! read     its bytes become documents and problems
//! ledger   what does every file say, what is different?  (pure)
//! shelf    which object stands under a key now?          (pure)
//! ```
//!
//! What readers can rely on:
//! - Files count whose names end in `.yaml`, `.yml` or `.json` and do not start with a dot, in
//!   sub-folders too, [`MAX_DEPTH`] deep. A symbolic link to a file is read (a change of what it points to is
//!   seen within [`RESCAN`]), one to a folder is not followed.
//! - A file is read when its writer closes it or renames it into place, not while it grows. Good news
//!   counts at once; that a file or an object in it is gone or broken counts when it still looks so
//!   after [`SETTLE`], or [`PATIENCE`] while it is open for writing or empty, so an editor's save is one change.
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

mod ledger;
mod shelf;
mod scan;
mod read;
mod notice;
mod pending;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::ledger::Ledger;
use self::notice::{Notice, Notices};
use self::pending::{Due, Pending, Signal};
use super::{Error, Next, Source};
use crate::change::Batch;
use crate::status_file;

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
    ledger: Ledger,
    synced: bool,
    rescan_every: Duration,
    next_scan: Instant,
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
            ledger: Ledger::default(),
            synced: false,
            rescan_every: RESCAN,
            next_scan: Instant::now(),
        };
        source.notices.watch(directory).map_err(failed)?;
        source.rescan(Instant::now(), true);
        Ok(source)
    }

    /// The same with another interval than [`RESCAN`].
    #[must_use]
    pub fn rescan_every(mut self, interval: Duration) -> DirectorySource {
        self.rescan_every = interval;
        self.next_scan = Instant::now() + interval;
        self
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
                    let inside = self.ledger.files().filter(|file| file.starts_with(&path));
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
        self.next_scan = now + self.rescan_every;
        self.scan_folder(&self.root.clone(), now, all);
        let gone = self
            .ledger
            .files()
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
            if all || self.ledger.stamp(&path) != Some(stamp) {
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
        for (path, due, stamp, reading) in readings {
            if self.pending.is_growing(&path) && !due.is_forced(now) {
                self.pending.again(&path, due);
                continue;
            }
            // Weft's own files change by rename: what is gone there is meant to be gone.
            let is_doubtful =
                path.parent() != Some(&status) && self.ledger.is_bad_news(&path, &reading);
            // The kernel tells of a file's truncation when it is over, which on a busy disk is long after it can be seen.
            let is_at_work =
                due.is_growing() || self.pending.is_growing(&path) || reading.says_nothing();
            match due.hold(now, is_at_work) {
                Some(held) if is_doubtful => self.pending.again(&path, held),
                _ => self.ledger.accept(&path, stamp, reading, &mut batch),
            }
        }
        self.ledger.refresh(&mut batch);
        Ok(batch)
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
