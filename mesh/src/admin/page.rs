//! What a page is, and the pages every program has.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Method, StatusCode};

use super::accept::asks_for_openmetrics;
use crate::lifecycle::ready::Gates;
use crate::telemetry::{log, metrics, plain};

/// A request for a page.
#[derive(Clone, Debug)]
pub struct Question {
    /// GET or POST.
    pub method: Method,
    /// The text behind `?`, undecoded; empty when there is none.
    pub query: String,
    /// The media types that the caller takes, as it names them; empty when it names none.
    pub accept: String,
    /// The body of a POST, at most 1 MiB.
    pub body: bytes::Bytes,
}

/// What a page answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Media type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Answer {
    /// Text with a status.
    pub fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }

    /// A value as indented JSON; 500 when it cannot be written.
    pub fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_string_pretty(value) {
            Ok(body) => Self {
                status: StatusCode::OK,
                content_type: "application/json",
                body,
            },
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

/// Answers one page.
pub type Handler =
    Arc<dyn Fn(Question) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Pages by method and path.
#[derive(Clone, Default)]
pub struct Routes {
    pages: BTreeMap<(String, String), Handler>,
}

impl Routes {
    /// Adds a page.
    #[must_use]
    pub fn with<F, A>(mut self, method: Method, path: &str, handler: F) -> Self
    where
        F: Fn(Question) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |question| Box::pin(handler(question)));
        self.pages
            .insert((method.to_string(), path.to_owned()), handler);
        self
    }

    /// The page for a request; 404 or 405 when there is none.
    pub(super) fn find(&self, method: &Method, path: &str) -> Result<Handler, StatusCode> {
        match self.pages.get(&(method.to_string(), path.to_owned())) {
            Some(handler) => Ok(Arc::clone(handler)),
            None if self.pages.keys().any(|(_, p)| p == path) => {
                Err(StatusCode::METHOD_NOT_ALLOWED)
            }
            None => Err(StatusCode::NOT_FOUND),
        }
    }

    /// The list of pages, for the index.
    pub(super) fn index(&self) -> String {
        self.pages
            .keys()
            .map(|(method, path)| format!("{method} {path}\n"))
            .collect()
    }
}

/// `GET`: 200 `ready`, or 500 with what is still to be done.
pub fn ready_page(gates: &Gates) -> Answer {
    let pending = gates.pending();
    if pending.is_empty() {
        Answer::text(StatusCode::OK, "ready\n")
    } else {
        let body = format!("not ready, pending: {}\n", pending.join(", "));
        Answer::text(StatusCode::INTERNAL_SERVER_ERROR, body)
    }
}

/// `GET`: all metrics, as OpenMetrics for who asks for that, else as plain text.
pub fn metrics_page(all: &metrics::Metrics, question: &Question) -> Answer {
    let (content_type, body) = match all.encode() {
        Ok(open) if asks_for_openmetrics(&question.accept) => (metrics::CONTENT_TYPE, open),
        Ok(open) => (plain::CONTENT_TYPE, plain::plain(&open)),
        Err(error) => return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    Answer {
        status: StatusCode::OK,
        content_type,
        body,
    }
}

/// `POST`: without a query shows the log filter, `?level=FILTER` sets it, `?reset` restores it.
pub fn log_level_page(handle: &log::Handle, query: &str) -> Answer {
    let done = if query == "reset" {
        handle.reset()
    } else if let Some(filter) = query.strip_prefix("level=") {
        // `mod:level` is the contract's spelling of what the filter calls `mod=level`.
        handle.set(
            &filter
                .replace("::", "\u{0}")
                .replace(':', "=")
                .replace('\u{0}', "::"),
        )
    } else if query.is_empty() {
        Ok(())
    } else {
        return Answer::text(
            StatusCode::BAD_REQUEST,
            "expected ?level=FILTER or ?reset\n",
        );
    };
    match done {
        Ok(()) => Answer::text(
            StatusCode::OK,
            format!("log filter: {}\n", handle.current()),
        ),
        Err(error) => Answer::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
