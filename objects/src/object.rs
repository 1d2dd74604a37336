//! Pure. One object: what Weft reads of it, beside the document it came from.
//!
//! Nothing of the document is lost: [`Object::raw`] is all of it, [`Object::unread`] is what no field of
//! the typed form stands for, and both know their lines. They are worked out when asked, so that an object
//! at rest costs little more than its text.

mod identify;
mod typed;

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::Value;

use crate::kinds::{Key, Kind};
use crate::merge::{drop_nulls, merge};
use crate::meta::Metadata;
use crate::raw::{Document, Packed, Path};
use crate::uid;

pub use identify::{Class, Stranger, identify};
pub use typed::Typed;

/// How many fields [`Object::unread`] lists at most: more would help nobody.
pub const MAX_UNREAD: usize = 1000;

/// An object of the cluster.
pub struct Object {
    key: Key,
    typed: Typed,
    file: Arc<FilePath>,
    document: Arc<Packed>,
    patches: Vec<Arc<Packed>>,
}

/// Where an object's document comes from, and what was written over it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The file, for messages.
    pub file: Arc<FilePath>,
    /// The document that makes the object exist.
    pub document: Arc<Packed>,
    /// What is merged over it, in this order.
    pub patches: Vec<Arc<Packed>>,
}

impl Parts {
    /// A document nothing is written over.
    #[must_use]
    pub fn new(file: Arc<FilePath>, document: Arc<Packed>) -> Parts {
        Parts {
            file,
            document,
            patches: Vec::new(),
        }
    }
}

/// A field that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct BadField {
    /// Which field.
    pub path: Path,
    /// Its line in the document, 0 when it came from a patch.
    pub line: u32,
    /// Why not. Never holds a value of a Secret.
    pub reason: String,
}

/// A field of the document that Weft does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Which field.
    pub path: Path,
    /// Its line, 0 when it came from a patch.
    pub line: u32,
}

impl Object {
    /// Reads an object whose key is known from [`identify`]. `incarnation` counts earlier objects of this
    /// key (see [`uid::derive`]); it matters only where the document gives no uid.
    pub fn read(key: Key, parts: Parts, incarnation: u64) -> Result<Object, BadField> {
        let document = parts.document.unpack();
        let value = merged(document.value().clone(), &parts.patches);
        let mut track = serde_path_to_error::Track::new();
        let reader = serde_path_to_error::Deserializer::new(&value, &mut track);
        let mut typed = Typed::read(key.kind, reader).map_err(|error| {
            let path = Path::from(&track.path());
            let reason = match key.kind {
                Kind::Secret => "not of the type this field has".to_owned(),
                _ => error.to_string(),
            };
            BadField {
                line: document.line_of(&path),
                path,
                reason,
            }
        })?;
        typed.check().map_err(|refused| BadField {
            line: document.line_of(&refused.path),
            path: refused.path,
            reason: refused.reason,
        })?;
        let metadata = typed.metadata_mut();
        metadata.namespace.clone_from(&key.namespace);
        if metadata.uid.is_empty() {
            metadata.uid = uid::derive(&key, incarnation);
        }
        let Parts {
            file,
            document,
            patches,
        } = parts;
        Ok(Object {
            key,
            typed,
            file,
            document,
            patches,
        })
    }

    /// Its kind, namespace and name.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What Weft reads of it.
    #[must_use]
    pub fn typed(&self) -> &Typed {
        &self.typed
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.typed.metadata()
    }

    /// The file its document is in.
    #[must_use]
    pub fn file(&self) -> &FilePath {
        &self.file
    }

    /// The line its document starts at; 0 when no user wrote it.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.document.line()
    }

    /// The line of a field, or of the nearest thing around it.
    #[must_use]
    pub fn line_of(&self, path: &Path) -> u32 {
        self.document.unpack().line_of(path)
    }

    /// What its document says at a field, with its lines; nothing that was written over it.
    #[must_use]
    pub fn part(&self, path: &Path) -> Option<Document> {
        self.document.unpack().part(path)
    }

    /// The whole document, patches merged in.
    #[must_use]
    pub fn raw(&self) -> Value {
        let mut value = self.document.unpack().value().clone();
        for patch in &self.patches {
            merge(&mut value, patch.unpack().value());
        }
        value
    }

    /// Every field of the document that nobody reads, in the order of the document, up to [`MAX_UNREAD`].
    /// Exact for every kind; whether it is worth telling depends on [`crate::kinds::KindFacts::report_unread`].
    #[must_use]
    pub fn unread(&self) -> Vec<Unread> {
        let document = self.document.unpack();
        let value = merged(document.value().clone(), &self.patches);
        let mut unread = Vec::new();
        let read = Typed::read(
            self.key.kind,
            serde_ignored::Deserializer::new(&value, &mut |path: serde_ignored::Path<'_>| {
                let path = Path::from(&path);
                if unread.len() < MAX_UNREAD && !is_type_word(&path) {
                    unread.push(Unread {
                        line: document.line_of(&path),
                        path,
                    });
                }
            }),
        );
        debug_assert!(read.is_ok(), "it was read before");
        unread
    }

    /// Whether both say the same, wherever their documents stand.
    #[must_use]
    pub fn says_the_same(&self, other: &Object) -> bool {
        self.key == other.key
            && self.metadata().uid == other.metadata().uid
            && (self.has_same_parts(other) || self.raw() == other.raw())
    }

    fn has_same_parts(&self, other: &Object) -> bool {
        Arc::ptr_eq(&self.document, &other.document)
            && self.patches.len() == other.patches.len()
            && self
                .patches
                .iter()
                .zip(&other.patches)
                .all(|(one, two)| Arc::ptr_eq(one, two))
    }
}

/// `apiVersion` and `kind` chose the type that reads the rest.
fn is_type_word(path: &Path) -> bool {
    *path == Path::of_keys(&["apiVersion"]) || *path == Path::of_keys(&["kind"])
}

fn merged(mut value: Value, patches: &[Arc<Packed>]) -> Value {
    for patch in patches {
        merge(&mut value, patch.unpack().value());
    }
    drop_nulls(&mut value);
    value
}

/// Says which object, never what is in it: it may be a Secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("key", &self.key)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
