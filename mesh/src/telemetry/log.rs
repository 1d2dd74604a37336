//! The program's own log: format, filter, and changing the filter while running.

mod lines;
mod value;

use std::sync::Arc;
use std::time::SystemTime;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use lines::Lines;

/// How lines look. Source: docs/compat.md#access-log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line of text per event.
    #[default]
    Plain,
    /// One JSON object per event.
    Json,
}

impl Format {
    /// As `LOG_FORMAT` names it: `plain` or `json`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "plain" => Some(Self::Plain),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Changes the filter of the running program.
#[derive(Clone)]
pub struct Handle {
    reload: reload::Handle<EnvFilter, Registry>,
    start: Arc<str>,
}

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter text is not understood.
    #[error("log filter {filter:?} is not understood")]
    Filter {
        /// What was asked for.
        filter: String,
        /// Why not.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("logging is already set up")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
    /// The subscriber is gone.
    #[error("logging has ended")]
    Gone(#[source] reload::Error),
}

/// Sets the process's log up, to standard output. `filter` has the syntax of `RUST_LOG`.
///
/// # Errors
/// When the filter is not understood or logging is set up already.
pub fn init(format: Format, filter: &str) -> Result<Handle, Error> {
    let (filter_layer, reload) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter_layer);
    let lines = Lines {
        format,
        now: SystemTime::now,
    };
    registry
        .with(fmt::layer().event_format(lines))
        .try_init()
        .map_err(Error::Twice)?;
    Ok(Handle {
        reload,
        start: filter.into(),
    })
}

impl Handle {
    /// Replaces the filter.
    ///
    /// # Errors
    /// When it is not understood; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        self.reload.reload(parse(filter)?).map_err(Error::Gone)
    }

    /// Back to the filter the program started with.
    ///
    /// # Errors
    /// When logging has ended.
    pub fn reset(&self) -> Result<(), Error> {
        self.set(&self.start)
    }

    /// The filter in force.
    pub fn current(&self) -> String {
        self.reload
            .with_current(ToString::to_string)
            .unwrap_or_default()
    }
}

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(filter).map_err(|source| Error::Filter {
        filter: filter.to_owned(),
        source,
    })
}
