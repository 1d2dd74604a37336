//! Traces of requests: a context read, a decision made, spans gathered only where they are wanted, and the
//! way to the collector. Source: docs/compat.md#request-traces.
//!
//! A request has a server span, and under it a client span for every attempt; what took time on the way
//! (a policy's server, connecting, a handshake) is a step under the one that waited for it.

pub mod collectors;
mod spans;
pub mod context;
pub mod sampling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use mesh::model::observe::{TagValue, Tracing};

use super::record::{Flags, Record};
use context::{Incoming, Outgoing};
use sampling::{Decision, WHOLE};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLIENT_TRACE: HeaderName = HeaderName::from_static("x-client-trace-id");

/// Steps and attempts of one request that are kept; what is beyond is left out.
const SPANS: usize = 64;

/// Who this waypoint is, as spans tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Canonical service, for a waypoint the name of its Gateway.
    pub canonical_service: Arc<str>,
    /// Canonical revision.
    pub canonical_revision: Arc<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Cluster.
    pub cluster: Arc<str>,
    /// Id of the mesh; Istio's default is the trust domain.
    pub mesh: Arc<str>,
    /// Id of this node in Istio's form.
    pub node: Arc<str>,
}

/// How traces of one target are made.
#[derive(Debug, PartialEq, Eq)]
pub struct Tracer {
    settings: Tracing,
    tags: Vec<(Arc<str>, Tag)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tag {
    Text(Arc<str>),
    Header(HeaderName, Arc<str>),
}

impl Tracer {
    /// Makes settings ready; variables of the environment are read now. A tag of a header whose name no
    /// header can have is its default.
    pub fn compile(settings: &Tracing, environment: impl Fn(&str) -> Option<String>) -> Arc<Self> {
        let tag = |(name, value): &(Arc<str>, TagValue)| {
            let tag = match value {
                TagValue::Literal(text) => Tag::Text(Arc::clone(text)),
                TagValue::Header(header, default) => {
                    match HeaderName::from_bytes(header.as_bytes()) {
                        Ok(header) => Tag::Header(header, Arc::clone(default)),
                        Err(_) => Tag::Text(Arc::clone(default)),
                    }
                }
                TagValue::Environment(variable, default) => match environment(variable) {
                    Some(value) => Tag::Text(value.into()),
                    None => Tag::Text(Arc::clone(default)),
                },
            };
            (Arc::clone(name), tag)
        };
        Arc::new(Self {
            settings: settings.clone(),
            tags: settings.tags.iter().map(tag).collect(),
        })
    }

    /// Begins with a request, once it has its `x-request-id`, which may be changed: it remembers the
    /// decision for the proxies behind us. `random` gives numbers that nobody can guess.
    pub fn begin(
        self: &Arc<Self>,
        headers: &mut HeaderMap,
        random: &mut impl FnMut() -> u64,
    ) -> Trace {
        let incoming = Incoming::read(headers, self.settings.b3);
        let id = headers.get(REQUEST_ID);
        let decision = Decision::make(
            incoming.sampled,
            id.map(HeaderValue::as_bytes),
            headers.contains_key(CLIENT_TRACE),
            self.settings.sampling,
            u32::try_from(random() % u64::from(WHOLE)).unwrap_or_default(),
        );
        let marked = id.and_then(|id| decision.mark(id.as_bytes()));
        if let Some(marked) = marked.and_then(|id| HeaderValue::from_bytes(&id).ok()) {
            headers.insert(REQUEST_ID, marked);
        }
        let is_recorded = decision.is_sampled() && self.settings.reports;
        let trace = match incoming.parent {
            Some(parent) => parent.trace,
            None => u128::from(random()) << 64 | u128::from(random().max(1)),
        };
        Trace {
            span: random().max(1),
            trace,
            incoming,
            is_sampled: decision.is_sampled(),
            spans: is_recorded.then(|| Box::new(Spans::new(self, headers))),
            tracer: Arc::clone(self),
        }
    }
}

/// One request's part of a trace.
#[derive(Debug)]
pub struct Trace {
    tracer: Arc<Tracer>,
    trace: u128,
    /// The server span.
    span: u64,
    incoming: Incoming,
    is_sampled: bool,
    /// What is reported; `None` when nothing is.
    spans: Option<Box<Spans>>,
}

/// What is gathered of a request that is reported.
#[derive(Debug, Default)]
struct Spans {
    tags: Vec<(Arc<str>, TagText)>,
    attempts: Vec<Attempt>,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum TagText {
    Text(Arc<str>),
    Header(HeaderValue),
}

/// One attempt, as its client span tells it.
#[derive(Debug)]
struct Attempt {
    span: u64,
    start: Instant,
    end: Option<Instant>,
    outcome: Outcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Name of the destination in Istio's form.
    pub cluster: Arc<str>,
    /// The endpoint.
    pub host: Option<SocketAddr>,
    /// Status; 0 when there was no answer.
    pub status: u16,
    /// gRPC status.
    pub grpc_status: Option<u16>,
    /// Flags.
    pub flags: Flags,
    /// Weft's reason; empty when nothing went wrong.
    pub reason: &'static str,
}

/// Something that took time on the way.
#[derive(Debug)]
struct Step {
    span: u64,
    parent: u64,
    name: &'static str,
    start: Instant,
    end: Instant,
    reason: &'static str,
}

impl Spans {
    fn new(tracer: &Tracer, headers: &HeaderMap) -> Self {
        let read = |(name, tag): &(Arc<str>, Tag)| {
            let text = match tag {
                Tag::Text(text) => TagText::Text(Arc::clone(text)),
                Tag::Header(header, default) => match headers.get(header) {
                    Some(value) => TagText::Header(value.clone()),
                    None => TagText::Text(Arc::clone(default)),
                },
            };
            (Arc::clone(name), text)
        };
        Self {
            tags: tracer.tags.iter().map(read).collect(),
            ..Self::default()
        }
    }

    fn has_room(&self) -> bool {
        self.attempts.len() + self.steps.len() < SPANS
    }
}

impl Trace {
    /// Id of the trace, for the record.
    pub fn id(&self) -> u128 {
        self.trace
    }

    /// Whether spans of it are reported: what only serves them needs not be gathered otherwise.
    pub fn is_reported(&self) -> bool {
        self.spans.is_some()
    }

    /// An attempt begins.
    pub fn attempt(&mut self, now: Instant, random: &mut impl FnMut() -> u64) {
        if let Some(spans) = &mut self.spans
            && spans.has_room()
        {
            spans.attempts.push(Attempt {
                span: random().max(1),
                start: now,
                end: None,
                outcome: Outcome::default(),
            });
        }
    }

    /// The last attempt has ended.
    pub fn attempted(&mut self, now: Instant, outcome: impl FnOnce() -> Outcome) {
        let spans = self.spans.as_mut();
        if let Some(attempt) = spans.and_then(|spans| spans.attempts.last_mut())
            && attempt.end.is_none()
        {
            attempt.end = Some(now);
            attempt.outcome = outcome();
        }
    }

    /// Something took from `start` to `end`: `policy`, `connect`, `handshake`, `tunnel`, and failed for
    /// this reason unless it is empty. It is told under the attempt that is open, else under the request.
    pub fn step(
        &mut self,
        name: &'static str,
        start: Instant,
        end: Instant,
        reason: &'static str,
        random: &mut impl FnMut() -> u64,
    ) {
        let server = self.span;
        if let Some(spans) = &mut self.spans
            && spans.has_room()
        {
            let open = spans.attempts.last().filter(|it| it.end.is_none());
            spans.steps.push(Step {
                span: random().max(1),
                parent: open.map_or(server, |attempt| attempt.span),
                name,
                start,
                end,
                reason,
            });
        }
    }

    /// Writes the context into the headers of the attempt that is open.
    pub fn write(&self, headers: &mut HeaderMap) {
        if !self.tracer.settings.propagates {
            return;
        }
        let attempts = self.spans.iter().flat_map(|spans| &spans.attempts);
        let attempt = attempts.last();
        let outgoing = Outgoing {
            trace: self.trace,
            span: attempt.map_or(self.span, |attempt| attempt.span),
            parent: match attempt {
                Some(_) => self.span,
                None => self.incoming.parent.map_or(0, |parent| parent.span),
            },
            sampled: self.is_sampled,
            form: self.incoming.form,
        };
        outgoing.write(headers);
    }

    /// The request has ended: what is to be reported of it, if anything is.
    pub fn finish(self, record: &Record) -> Option<Box<Finished>> {
        let mut spans = self.spans?;
        let now = record.ended();
        for attempt in &mut spans.attempts {
            attempt.end.get_or_insert(now);
        }
        Some(Box::new(Finished {
            tracer: self.tracer,
            trace: self.trace,
            span: self.span,
            parent: self.incoming.parent.map(|parent| parent.span),
            spans: *spans,
            record: record.clone(),
        }))
    }
}

/// A reported request, on its way to the collector.
#[derive(Debug)]
pub struct Finished {
    tracer: Arc<Tracer>,
    trace: u128,
    span: u64,
    parent: Option<u64>,
    spans: Spans,
    record: Record,
}

impl Finished {
    /// How many spans it is.
    fn len(&self) -> u64 {
        let more = self.spans.attempts.len() + self.spans.steps.len();
        u64::try_from(more).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// A moment on the wall, reckoned from the request's start.
fn wall(record: &Record, at: Instant) -> std::time::SystemTime {
    record.start
        + at.saturating_duration_since(record.began)
            .min(Duration::from_secs(86_400 * 366))
}

#[cfg(test)]
mod tests;
