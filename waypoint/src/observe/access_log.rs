//! Lines about requests: a format made ready, what of a request it needs, and the way to standard output.

mod encode;
mod facts;
mod text;
pub mod lines;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mesh::access_log::{Filter, FilterError, Format};
use mesh::model::observe;

use super::record::Record;
pub use lines::{Lines, Writer};

/// Headers that a format and a filter name, by the numbers they gave them; taken while the message is
/// at hand.
#[derive(Clone, Debug, Default)]
pub struct Captured(Box<[Option<HeaderValue>]>);

impl Captured {
    /// The filter's come after the format's.
    fn of(format: &[Box<str>], filter: &[Box<str>], fields: &HeaderMap) -> Self {
        let names = format.iter().chain(filter);
        Self(names.map(|name| fields.get(&**name).cloned()).collect())
    }

    fn get(&self, number: usize) -> Option<&HeaderValue> {
        self.0.get(number).and_then(Option::as_ref)
    }
}

/// How lines of one target are written.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    filter: Filter,
    /// Variables of the environment that the format names, as they were when it was made ready.
    environment: Vec<(Box<str>, Box<str>)>,
    hostname: Arc<str>,
}

/// Why a log cannot be as it was asked for; the controller refuses such settings, so this is about what
/// another version of it may send.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The format.
    #[error("access log format: {0}")]
    Format(#[from] mesh::access_log::Error),
    /// The filter.
    #[error("access log filter: {0}")]
    Filter(#[from] FilterError),
}

impl AccessLog {
    /// Makes a log ready. `environment` is how variables are read; `HOSTNAME` is also what
    /// `%HOSTNAME%` stands for.
    ///
    /// # Errors
    /// When the format or the filter is not understood.
    pub fn compile(
        settings: &observe::AccessLog,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let format = match settings.json {
            true => Format::json(&settings.format)?,
            false => Format::text(&settings.format)?,
        };
        let read = |name: &str| {
            let value = environment(name).unwrap_or_default();
            (name.into(), value.into())
        };
        Ok(Self {
            environment: format.environment().map(read).collect(),
            hostname: environment("HOSTNAME").unwrap_or_default().into(),
            filter: Filter::parse(&settings.filter)?,
            format,
        })
    }

    /// What it needs of a request's head, once ids are set and before it is handed on.
    pub fn capture_request(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.request, &self.filter.request, fields)
    }

    /// What it needs of an answer's head.
    pub fn capture_response(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.response, &self.filter.response, fields)
    }

    /// What it needs of an answer's trailers.
    pub fn capture_trailers(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.trailers, &[], fields)
    }

    /// Whether its filter lets a line about `record` through.
    pub fn wants(&self, record: &Record) -> bool {
        self.filter.holds(&facts::Asked { log: self, record })
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| &**value).filter(|it| !it.is_empty())
    }
}
