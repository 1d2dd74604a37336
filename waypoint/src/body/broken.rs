//! Pure. How a client's body broke: what it sent is no HTTP, it ended too early, or the client is gone.

use std::error::Error;
use std::io;

/// How a client's body broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// What it sent is not what HTTP allows: a bad chunk, more or fewer bytes than a stream's length says.
    Malformed,
    /// The client sends no more, and less came than was announced; it may still listen.
    Short,
    /// The client reset the stream, or its connection is gone.
    Gone,
}

impl Broken {
    /// Sorts what HTTP says of a body.
    pub(super) fn of(error: &hyper::Error) -> Self {
        let Some(source) = error.source() else {
            return Self::Gone;
        };
        if let Some(error) = source.downcast_ref::<h2::Error>() {
            let is_theirs = error.is_remote() || error.is_io() || error.is_go_away();
            return match is_theirs {
                true => Self::Gone,
                false => Self::Malformed,
            };
        }
        let kind = source.downcast_ref::<io::Error>().map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Self::Malformed,
            Some(io::ErrorKind::UnexpectedEof) => Self::Short,
            _ => Self::Gone,
        }
    }
}
