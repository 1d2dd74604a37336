//! A source of objects, and what every source promises.
//!
//! The first batches say everything that exists (a *snapshot*, complete when [`Batch::synced`] is true), later
//! ones what changed; between two batches nothing is missed, and what is said twice is not said. A document
//! that cannot be read becomes a problem of a batch and leaves its last good version in place. Next hop of
//! the path: the controller's shelf.

pub mod api_server;
pub mod directory;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;

use crate::change::Batch;

/// The future of [`Source::next`].
pub type Next<'a> = Pin<Box<dyn Future<Output = Result<Batch, Error>> + Send + 'a>>;

/// A source of objects: a directory or an API server.
pub trait Source: Send {
    /// Waits for something to say. Dropping the future loses nothing: the next call says it.
    ///
    /// # Errors
    /// When the source cannot go on; what it said so far stays the best that is known.
    fn next(&mut self) -> Next<'_>;
}

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel does not let us watch.
    #[error("cannot watch {}", directory.display())]
    Watch {
        /// What was to be watched.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The directory does not exist any more.
    #[error("the directory {} is gone", directory.display())]
    Gone {
        /// Which.
        directory: PathBuf,
    },
    /// A part of the source ended by itself, which is a defect.
    #[error("a part of the source has ended")]
    Ended,
}
