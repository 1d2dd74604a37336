//! One file becomes documents and problems.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;

use crate::change::{Class, Problem};
use crate::kinds::Key;
use crate::object::{Object, Parts, identify};
use crate::raw::{self, Document, MAX_BYTES, Packed, Path as FieldPath};
use crate::status_file::{StatusFile, Way, Words};

/// What a file looks like from outside: different means it may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            size: metadata.size(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }
}

/// What is in a file.
#[derive(Debug)]
pub(super) enum Reading {
    /// It is not there.
    Gone,
    /// Nothing of it can be read.
    Unreadable(Problem),
    /// A file of `status/`.
    Status(Box<StatusFile>),
    /// A file of a user's.
    Documents {
        /// Documents that can be read, in order.
        good: Vec<(Key, Arc<Packed>)>,
        /// Objects whose document is broken.
        bad: HashSet<Key>,
        /// Whether there is a document that cannot even be named.
        has_nameless: bool,
        /// What is wrong.
        problems: Vec<Problem>,
    },
}

impl Reading {
    /// Whether the file is there and holds no document, not even a broken one.
    pub(super) fn says_nothing(&self) -> bool {
        matches!(self, Reading::Documents { good, problems, .. } if good.is_empty() && problems.is_empty())
    }
}

/// Reads a file; the stamp was taken before its content, so a change in between shows later.
pub(super) fn read(file: &Arc<Path>, in_status: bool) -> (Option<Stamp>, Reading) {
    let refused = |reason: String| {
        let file = file.to_path_buf();
        Reading::Unreadable(Problem {
            file,
            line: 0,
            key: None,
            field: String::new(),
            reason,
            class: Class::Broken,
        })
    };
    let opened = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits()) // a pipe in a file's place must not hold us up
        .open(file)
        .and_then(|open| Ok((open.metadata()?, open)));
    let (metadata, open) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, Reading::Gone),
        Err(error) => return (None, refused(format!("cannot be read: {error}"))),
    };
    let stamp = Some(Stamp::of(&metadata));
    if !metadata.is_file() {
        return (stamp, refused("not a file".to_owned()));
    }
    if metadata.len() > MAX_BYTES as u64 {
        return (stamp, refused(raw::ErrorKind::TooLong.to_string()));
    }
    // It may have grown since.
    let mut bytes = Vec::new();
    if let Err(error) = open.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes) {
        return (stamp, refused(format!("cannot be read: {error}")));
    }
    let reading = if in_status {
        status(file, &bytes)
    } else {
        documents(file, &bytes)
    };
    (stamp, reading)
}

fn status(file: &Arc<Path>, bytes: &[u8]) -> Reading {
    let refused = |key: Option<Key>, field: String, reason: String| {
        Reading::Unreadable(Problem {
            file: file.to_path_buf(),
            line: 0,
            key,
            field,
            reason,
            class: Class::Broken,
        })
    };
    let status = match StatusFile::from_json(bytes) {
        Ok(status) => status,
        Err(error) => return refused(None, String::new(), error.to_string()),
    };
    // An applied document must stand on its own, as a user's must.
    if let StatusFile::Words(Words {
        key,
        way: Way::Apply,
        fields,
        ..
    }) = &status
    {
        let document = Document::without_lines(fields.clone());
        match identify(&document) {
            Ok(named) if named == *key => {}
            Ok(named) => {
                let reason = format!("its document is of {named}");
                return refused(Some(key.clone()), String::new(), reason);
            }
            Err(stranger) => {
                let field = stranger.path().to_string();
                return refused(Some(key.clone()), field, stranger.to_string());
            }
        }
        let parts = Parts::new(file.clone(), Arc::new(document.pack()));
        if let Err(bad) = Object::read(key.clone(), parts, 0) {
            return refused(Some(key.clone()), bad.path.to_string(), bad.reason);
        }
    }
    Reading::Status(Box::new(status))
}

fn unreadable(file: &Path, error: &raw::Error) -> Reading {
    Reading::Unreadable(Problem {
        file: file.to_path_buf(),
        line: error.mark.line,
        key: None,
        field: String::new(),
        reason: error.kind.to_string(),
        class: Class::Broken,
    })
}

fn documents(file: &Arc<Path>, bytes: &[u8]) -> Reading {
    let parsed = match raw::parse(bytes) {
        Ok(parsed) => parsed,
        Err(error) => return unreadable(file, &error),
    };
    let (mut good, mut bad, mut problems) = (Vec::new(), HashSet::new(), Vec::new());
    let mut has_nameless = false;
    let mut say = |line, key, field: &FieldPath, reason, class| {
        let (file, field) = (file.to_path_buf(), field.to_string());
        problems.push(Problem {
            file,
            line,
            key,
            field,
            reason,
            class,
        });
    };
    for document in parsed.into_iter().flat_map(items) {
        let key = match identify(&document) {
            Ok(key) => key,
            Err(stranger) => {
                has_nameless |= stranger.may_be_ours();
                let path = stranger.path();
                let class = stranger.class();
                let reason = stranger.to_string();
                say(document.line_of(&path), None, &path, reason, class);
                continue;
            }
        };
        let packed = Arc::new(document.pack());
        match Object::read(key.clone(), Parts::new(file.clone(), packed.clone()), 0) {
            Ok(_) => good.push((key, packed)),
            Err(field) => {
                say(
                    field.line,
                    Some(key.clone()),
                    &field.path,
                    field.reason,
                    Class::Broken,
                );
                bad.insert(key);
            }
        }
    }
    Reading::Documents {
        good,
        bad,
        has_nameless,
        problems,
    }
}

/// A `List`, which `kubectl get` prints, stands for the objects in it.
fn items(document: Document) -> Vec<Document> {
    let is_list = document
        .value()
        .get("kind")
        .is_some_and(|kind| kind == "List");
    if is_list
        && document
            .value()
            .get("items")
            .is_some_and(serde_json::Value::is_array)
    {
        document.into_items("items").unwrap_or_default()
    } else {
        vec![document]
    }
}
