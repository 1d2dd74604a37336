//! Pure. Why bytes are not documents.

use std::fmt;

use super::{MAX_BYTES, MAX_DEPTH, MAX_NODES, Mark};

/// Why bytes are not documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where.
    pub mark: Mark,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with bytes that are not documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// YAML is UTF-8 here.
    #[error("not valid UTF-8")]
    NotUtf8,
    /// A NUL has no place in text.
    #[error("a NUL character in the text")]
    Nul,
    /// More than [`MAX_BYTES`].
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More than [`MAX_NODES`].
    #[error("more than {MAX_NODES} values, copies by aliases counted")]
    TooManyNodes,
    /// The parser stumbled.
    #[error("{reason}")]
    Syntax {
        /// In the parser's words.
        reason: String,
    },
    /// The same key twice in one map.
    #[error("the key `{key}` is already given in line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it was given first.
        first: u32,
    },
    /// A list or map as a key.
    #[error("a key must be a plain value")]
    ComplexKey,
    /// `<<`.
    #[error("merge keys (`<<`) are not supported")]
    MergeKey,
    /// An alias to nothing, or to a node it is part of.
    #[error("an alias to something that is not complete yet")]
    BadAlias,
    /// A tag outside YAML's core ones.
    #[error("the tag `{tag}` is not supported")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// A value that does not fit its tag.
    #[error("the value is not what its tag `{tag}` says")]
    NotAsTagged {
        /// The tag.
        tag: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.mark.line, self.mark.column, self.kind
        )
    }
}

impl std::error::Error for Error {}
