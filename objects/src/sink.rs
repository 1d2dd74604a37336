//! Writing back: objects Weft makes, and words it adds to objects of others.
//!
//! Every writer has a *manager* name (`sandbox`, `cni`) and owns only what it wrote under it: its next word
//! on the same object replaces its last one as a whole, and never touches another manager's.

pub mod api_server;
pub mod directory;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use serde_json::Value;

use crate::api::{Meaning, Refusal};
use crate::kinds::Key;
use crate::object::Stranger;

/// The future of a write.
pub type Written<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Where Weft writes: a directory or an API server.
pub trait Sink: Send + Sync {
    /// Makes an object exist because of us; `object` is a whole document with `apiVersion`, `kind` and
    /// `metadata`. It exists until [`Sink::remove`].
    fn apply<'a>(&'a self, manager: &'a str, object: Value) -> Written<'a>;

    /// Merges fields over an object of somebody else (see [`crate::merge`]); never makes it exist. With `uid`
    /// the words hold only for that very object, not for a later one of the same name: always give it when
    /// it is known.
    fn patch<'a>(
        &'a self,
        manager: &'a str,
        key: &'a Key,
        uid: Option<&'a str>,
        fields: Value,
    ) -> Written<'a>;

    /// Takes back what this manager applied to or patched on an object.
    fn remove<'a>(&'a self, manager: &'a str, key: &'a Key) -> Written<'a>;
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manager's name becomes part of a file name.
    #[error("`{manager}` is no manager name: lower case letters, digits and `-` only, at most 32")]
    Manager {
        /// As given.
        manager: String,
    },
    /// An applied document must say which object it is.
    #[error("the applied document cannot be named")]
    Stranger(#[from] Stranger),
    /// A patch is a map of fields.
    #[error("the patch of {key} is not a map of fields")]
    NotAMap {
        /// Of which object.
        key: Key,
    },
    /// The file system refused.
    #[error("cannot write {}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The API server refused, also after several tries where those made sense.
    #[error("the API server refuses")]
    Refused(#[source] Refusal),
}

impl Error {
    /// Whether the server says that the same write can never succeed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Error::Refused(refusal) if refusal.meaning() == Meaning::Invalid)
    }
}
