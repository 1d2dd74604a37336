//! A request's own story: filled on its way, told once at its end to metrics, log and collector.
//!
//! Whoever lets go of it without an end has lost the client: that is told too.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use ::http::header::{HOST, USER_AGENT};
use ::http::request::Parts;
use ::http::{HeaderMap, StatusCode, Version};
use mesh::model::Origin;

use super::outgoing::{Ended, Sent, Watch};
use crate::asked::{Asked, REQUEST_ID};
use crate::body::Source;
use crate::call::Call;
use crate::destinations::{Destination, Target};
use crate::ending::{Ending, Fault};
use crate::observe::record::{self, Flag, Protocol, Record, Size};
use crate::observe::trace::{Outcome, Trace};
use crate::observe::{Observer, Settings};
use crate::reply::Reply;

/// What an answer of an application is called in logs.
const VIA_UPSTREAM: &str = "via_upstream";

/// The story of one request.
pub(crate) struct Tale(Option<Box<Inner>>);

struct Inner {
    record: Record,
    trace: Option<Trace>,
    settings: Arc<Settings>,
    observer: Rc<Observer>,
    body: Option<Rc<Source>>,
    asked_at: Instant,
}

impl Tale {
    /// A request's head was read.
    pub(super) fn begin(call: &Call, settings: Arc<Settings>, parts: &Parts) -> Self {
        let began = Instant::now();
        let (source, service) = (Arc::clone(&call.source), Arc::clone(&call.service));
        let mut record = Record::new(SystemTime::now(), began, source, service);
        record.source_address = Some(call.client_address());
        record.local_address = call.authority.parse().ok();
        record.asked = record::Asked {
            method: parts.method.clone(),
            path: parts.uri.path_and_query().cloned(),
            authority: parts.headers.get(HOST).cloned(),
            user_agent: parts.headers.get(USER_AGENT).cloned(),
            id: None,
            protocol: match parts.version {
                Version::HTTP_2 => Protocol::Http2,
                Version::HTTP_11 => Protocol::Http11,
                _ => Protocol::Http10,
            },
            is_grpc: crate::asked::is_grpc_call(&parts.headers),
            size: Size {
                head: Size::of_fields(&parts.headers),
                ..Size::default()
            },
            captured: settings.capture_request(&parts.headers),
        };
        call.worker.observer.recorder.events.requests_open.inc();
        Self(Some(Box::new(Inner {
            record,
            trace: None,
            settings,
            observer: Rc::clone(&call.worker.observer),
            body: None,
            asked_at: began,
        })))
    }

    /// It may go on: its trace begins, and its id may be marked with that.
    pub(super) fn asked(&mut self, asked: &mut Asked, body: &Rc<Source>) {
        let Some(inner) = &mut self.0 else { return };
        inner.trace = inner
            .settings
            .begin(&mut asked.headers, &mut rand::random::<u64>);
        inner.record.trace = inner.trace.as_ref().map(Trace::id);
        inner.record.asked.authority = Some(asked.authority.clone());
        inner.record.asked.id = asked.headers.get(REQUEST_ID).cloned();
        inner.record.asked.captured = inner.settings.capture_request(&asked.headers);
        inner.body = Some(Rc::clone(body));
    }

    /// It takes this rule.
    pub(super) fn takes(&mut self, rule: &Arc<Origin>) {
        if let Some(inner) = &mut self.0 {
            inner.record.route = Some(Arc::clone(rule));
        }
    }

    /// Something took time on the way, and failed unless `reason` is empty.
    pub(super) fn step(&mut self, name: &'static str, since: Instant, reason: &'static str) {
        if let Some(trace) = self.0.as_mut().and_then(|it| it.trace.as_mut()) {
            trace.step(
                name,
                since,
                Instant::now(),
                reason,
                &mut rand::random::<u64>,
            );
        }
    }

    /// A try begins: it carries the trace's context.
    pub(super) fn attempt(&mut self, to: &Destination, target: &Target, headers: &mut HeaderMap) {
        let Some(inner) = &mut self.0 else { return };
        inner.record.sent.attempts += 1;
        inner.record.sent.cluster = Arc::clone(&to.name);
        inner.record.sent.host = Some(target.way.address);
        inner.record.destination = Arc::clone(&target.party);
        if let Some(trace) = &mut inner.trace {
            trace.attempt(Instant::now(), &mut rand::random::<u64>);
            trace.write(headers);
        }
    }

    /// A try has ended.
    pub(super) fn attempted(&mut self, status: u16, local: Option<SocketAddr>, failure: Failed) {
        let Some(inner) = &mut self.0 else { return };
        inner.record.sent.local = local.or(inner.record.sent.local);
        let sent = &inner.record.sent;
        if let Some(trace) = &mut inner.trace {
            trace.attempted(Instant::now(), || Outcome {
                cluster: Arc::clone(&sent.cluster),
                host: sent.host,
                status,
                grpc_status: None,
                flags: failure.flag.map(Into::into).unwrap_or_default(),
                reason: failure.reason,
            });
        }
    }

    /// Another try is made because of this.
    pub(super) fn again(&self, reason: &'static str) {
        if let Some(inner) = &self.0 {
            inner.observer.recorder.events.retried(reason);
        }
    }

    /// Something was out of the ordinary.
    pub(super) fn flag(&mut self, flag: Flag) {
        if let Some(inner) = &mut self.0 {
            inner.record.answered.flags.insert(flag);
        }
    }

    /// Nobody but this waypoint answers.
    pub(super) fn answered_here(&mut self, reply: &Reply) {
        let Some(inner) = &mut self.0 else { return };
        let answered = &mut inner.record.answered;
        answered.status = reply.status().as_u16();
        answered.details = match &reply.details {
            Some(details) => Cow::Owned(details.clone()),
            None => Cow::Borrowed(reply.ending.details()),
        };
        if reply.ending.fault() != Fault::Nobody {
            answered.reason = reply.ending.details();
        }
        if let Some(flag) = flag(reply.ending.flag()) {
            answered.flags.insert(flag);
        }
    }

    /// An application answers.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(inner) = &mut self.0 else { return };
        inner.record.sent.time = Some(inner.asked_at.elapsed());
        let answered = &mut inner.record.answered;
        answered.status = status.as_u16();
        answered.details = Cow::Borrowed(VIA_UPSTREAM);
        answered.grpc_status = grpc_status(headers);
    }

    /// The head goes out to the client; whoever carries the body tells the end.
    pub(super) fn sent(&mut self, status: StatusCode, headers: &HeaderMap) {
        let Some(inner) = &mut self.0 else { return };
        let answered = &mut inner.record.answered;
        // for gRPC our own answers are 200 on the wire
        if inner.record.asked.is_grpc || answered.status == 0 {
            answered.status = status.as_u16();
        }
        answered.grpc_status = answered.grpc_status.or_else(|| grpc_status(headers));
        answered.size.head = Size::of_fields(headers);
        answered.captured = inner.settings.capture_response(headers);
    }

    fn end(&mut self, how: Ended, sent: Sent, trailers: Option<&HeaderMap>) {
        let Some(mut inner) = self.0.take() else {
            return;
        };
        let record = &mut inner.record;
        record.duration = record.began.elapsed();
        record.answered.size.body = sent.bytes;
        record.answered.size.messages = sent.messages;
        if let Some(trailers) = trailers {
            let said = grpc_status(trailers);
            record.answered.grpc_status = said.or(record.answered.grpc_status);
            record.answered.captured_trailers = inner.settings.capture_trailers(trailers);
        }
        if let Some(body) = &inner.body {
            record.asked.size.body = body.taken();
            record.asked.size.messages = body.messages();
        }
        let broken = inner.body.as_ref().and_then(|it| it.broken());
        let (flag, reason) = match how {
            Ended::Whole => (None, ""),
            // the endpoint only followed
            Ended::Upstream if let Some(how) = broken => {
                let ending = Ending::from(how);
                (flag(ending.flag()), ending.details())
            }
            Ended::Upstream => (Some(Flag::UpstreamClosed), "response_broken"),
            Ended::Deadline => (Some(Flag::UpstreamTimeout), "response_timeout"),
            Ended::Client => (Some(Flag::DownstreamClosed), "downstream_remote_disconnect"),
        };
        if let Some(flag) = flag {
            record.answered.flags.insert(flag);
            record.answered.reason = reason;
            if how == Ended::Client {
                record.answered.details = Cow::Borrowed(reason);
            }
        }
        inner.observer.recorder.events.requests_open.dec();
        inner
            .observer
            .finish(&inner.settings, &inner.record, inner.trace);
    }
}

impl Watch for Tale {
    fn ended(mut self: Box<Self>, how: Ended, sent: Sent, trailers: Option<&HeaderMap>) {
        self.end(how, sent, trailers);
    }
}

impl Drop for Tale {
    fn drop(&mut self) {
        self.end(Ended::Client, Sent::default(), None);
    }
}

/// Why a try came to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failed {
    /// Istio's flag.
    pub(super) flag: Option<Flag>,
    /// Our word; empty when it came to something.
    pub(super) reason: &'static str,
}

impl Failed {
    /// What is told of an ending.
    pub(super) fn of(ending: crate::ending::Ending) -> Self {
        Self {
            flag: flag(ending.flag()),
            reason: ending.details(),
        }
    }
}

fn flag(word: &str) -> Option<Flag> {
    Flag::ALL.iter().copied().find(|it| it.word() == word)
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
