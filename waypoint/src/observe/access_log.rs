//! Lines about requests: a format made ready, what of a request it needs, and the way to standard output.

mod encode;
mod text;
pub mod lines;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mesh::access_log::{Error, Format};
use mesh::model::observe;

pub use lines::{Lines, Writer};

/// Headers that a format names, by the numbers it gave them; taken while the message is at hand.
#[derive(Clone, Debug, Default)]
pub struct Captured(Box<[Option<HeaderValue>]>);

impl Captured {
    fn of(names: &[Box<str>], fields: &HeaderMap) -> Self {
        Self(
            names
                .iter()
                .map(|name| fields.get(&**name).cloned())
                .collect(),
        )
    }

    fn get(&self, number: usize) -> Option<&HeaderValue> {
        self.0.get(number).and_then(Option::as_ref)
    }
}

/// How lines of one target are written.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    /// Variables of the environment that the format names, as they were when it was made ready.
    environment: Vec<(Box<str>, Box<str>)>,
    hostname: Arc<str>,
}

impl AccessLog {
    /// Makes a format ready. `environment` is how variables are read; `HOSTNAME` is also what
    /// `%HOSTNAME%` stands for.
    ///
    /// # Errors
    /// When the format is not understood; the controller refuses such formats, so this is for what
    /// another version of it may send.
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
            format,
        })
    }

    /// What it needs of a request's head, once ids are set and before it is handed on.
    pub fn capture_request(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.request, fields)
    }

    /// What it needs of an answer's head.
    pub fn capture_response(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.response, fields)
    }

    /// What it needs of an answer's trailers.
    pub fn capture_trailers(&self, fields: &HeaderMap) -> Captured {
        Captured::of(&self.format.trailers, fields)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| &**value).filter(|it| !it.is_empty())
    }
}
