//! The sink of a directory: one file per object and manager under `status/`, written atomically.
//!
//! A reader sees a file's old or its new content, never a part (temporary file, then rename). A write
//! that would change nothing does not happen, so that nobody is woken for it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::{Error, Sink, Written};
use crate::kinds::{Key, Kind};
use crate::object::identify;
use crate::raw::Document;
use crate::status_file::{self, StatusFile, Way, Words};
use crate::uid;

/// Writes under `status/` of an object directory. Cheap to make; several may write at once, in one
/// process or many, as long as each manager name has one writer.
///
/// The methods ending in `_now` do the same as those of [`Sink`] without a future: the writes are small and
/// local, and do not wait.
#[derive(Debug)]
pub struct DirectorySink {
    folder: PathBuf,
}

impl DirectorySink {
    /// A sink for this object directory; `status/` is made with the first write.
    #[must_use]
    pub fn new(directory: &Path) -> DirectorySink {
        DirectorySink {
            folder: directory.join(status_file::FOLDER),
        }
    }

    /// See [`Sink::apply`].
    pub fn apply_now(&self, manager: &str, object: Value) -> Result<(), Error> {
        check_manager(manager)?;
        let document = Document::without_lines(object);
        let (key, manager) = (identify(&document)?, manager.to_owned());
        let fields = document.value().clone();
        self.write(&StatusFile::Words(Words {
            key,
            manager,
            way: Way::Apply,
            uid: None,
            fields,
        }))
    }

    /// See [`Sink::patch`].
    pub fn patch_now(
        &self,
        manager: &str,
        key: &Key,
        uid: Option<&str>,
        fields: Value,
    ) -> Result<(), Error> {
        check_manager(manager)?;
        if !fields.is_object() {
            return Err(Error::NotAMap { key: key.clone() });
        }
        let (key, manager, uid) = (key.clone(), manager.to_owned(), uid.map(str::to_owned));
        self.write(&StatusFile::Words(Words {
            key,
            manager,
            way: Way::Patch,
            uid,
            fields,
        }))
    }

    /// See [`Sink::remove`].
    pub fn remove_now(&self, manager: &str, key: &Key) -> Result<(), Error> {
        check_manager(manager)?;
        remove_file(&self.folder.join(status_file::words_name(key, manager)))
    }

    /// Closes the book on an object that has vanished, so that a later one of the same name starts afresh:
    /// takes back every manager's patch of it, and, unless its uid was its maker's choice, makes the next
    /// one's uid another. To be called by one program per directory (the one that plays the API
    /// server's part) for every deletion it sees; calling it again for the same uid changes nothing.
    pub fn retire_now(&self, key: &Key, uid: &str) -> Result<(), Error> {
        let file = self.folder.join(status_file::retired_name(key));
        let incarnation = match read_existing(&file)?.map(|bytes| StatusFile::from_json(&bytes)) {
            Some(Ok(StatusFile::Retired { incarnation, .. })) => incarnation,
            _ => 0,
        };
        if uid == uid::derive(key, incarnation) {
            let incarnation = incarnation.saturating_add(1);
            self.write(&StatusFile::Retired {
                key: key.clone(),
                incarnation,
            })?;
        }
        for file in self.words_about(key)? {
            let words = read_existing(&file)?.map(|bytes| StatusFile::from_json(&bytes));
            if let Some(Ok(StatusFile::Words(words))) = words
                && words.way == Way::Patch
                && words.uid.as_deref().is_none_or(|about| about == uid)
            {
                remove_file(&file)?;
            }
        }
        Ok(())
    }

    fn words_about(&self, key: &Key) -> Result<Vec<PathBuf>, Error> {
        let prefix = status_file::words_prefix(key);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(Error::Io {
                    file: self.folder.clone(),
                    source,
                });
            }
        };
        let names = entries.flatten().map(|entry| entry.path());
        let is_about = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        };
        Ok(names.filter(is_about).collect())
    }

    fn write(&self, content: &StatusFile) -> Result<(), Error> {
        let file = self.folder.join(content.file_name());
        let text = content.to_json();
        if read_existing(&file)?.is_some_and(|existing| existing == text.as_bytes()) {
            return Ok(());
        }
        let mode = if content.key().kind == Kind::Secret {
            0o600
        } else {
            0o644
        };
        self.replace(&file, text.as_bytes(), mode)
            .map_err(|source| Error::Io { file, source })
    }

    fn replace(&self, file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        // Never a file that is there: a crash may have left one of another mode, and a program in another process
        // namespace may have our number.
        let (temporary, mut open) = loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            // The leading dot keeps readers away.
            let name = format!(".{}-{count}.tmp", std::process::id());
            let temporary = self.folder.join(name);
            let mut options = fs::OpenOptions::new();
            match options
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&temporary)
            {
                Ok(open) => break (temporary, open),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let written = open
            .write_all(bytes)
            .and_then(|()| fs::rename(&temporary, file));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

impl Sink for DirectorySink {
    fn apply<'a>(&'a self, manager: &'a str, object: Value) -> Written<'a> {
        Box::pin(async move { self.apply_now(manager, object) })
    }

    fn patch<'a>(
        &'a self,
        manager: &'a str,
        key: &'a Key,
        uid: Option<&'a str>,
        fields: Value,
    ) -> Written<'a> {
        Box::pin(async move { self.patch_now(manager, key, uid, fields) })
    }

    fn remove<'a>(&'a self, manager: &'a str, key: &'a Key) -> Written<'a> {
        Box::pin(async move { self.remove_now(manager, key) })
    }
}

fn check_manager(manager: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&manager.len()) && manager.bytes().all(fits) {
        Ok(())
    } else {
        Err(Error::Manager {
            manager: manager.to_owned(),
        })
    }
}

fn read_existing(file: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            file: file.to_owned(),
            source,
        }),
    }
}

fn remove_file(file: &Path) -> Result<(), Error> {
    match fs::remove_file(file) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io {
            file: file.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
