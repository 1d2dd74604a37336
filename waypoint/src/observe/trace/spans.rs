//! Pure. A finished request as spans: names, kinds, parents, attributes. Source: docs/compat.md#request-traces.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{Attempt, Finished, Own, Step, TagText, wall};
use crate::observe::record::party::kind_word;
use crate::observe::record::{Flags, Party, Record};

/// Longest URL that is told, in bytes.
const URL: usize = 256;

/// What all spans of this waypoint have in common.
pub(super) fn resource(own: &Own) -> Resource {
    let name = format!("{}.{}", own.canonical_service, own.namespace);
    Resource::builder_empty().with_service_name(name).build()
}

impl Finished {
    /// All its spans, the server's first.
    pub(super) fn spans(&self, own: &Own) -> Vec<SpanData> {
        let attempts = self.spans.attempts.iter();
        let steps = self.spans.steps.iter();
        let mut all = vec![self.server(own)];
        all.extend(attempts.map(|attempt| self.client(own, attempt)));
        all.extend(steps.map(|step| self.step(step)));
        all
    }

    fn server(&self, own: &Own) -> SpanData {
        let record = &self.record;
        let mut attributes = asked(record, own);
        let (answered, sent) = (&record.answered, &record.sent);
        attributes.push(KeyValue::new(
            "http.status_code",
            text(answered.status.to_string()),
        ));
        attributes.push(KeyValue::new(
            "response_flags",
            text(answered.flags.to_string()),
        ));
        attributes.push(KeyValue::new(
            "response_size",
            text(answered.size.body.to_string()),
        ));
        put(&mut attributes, "upstream_cluster", &sent.cluster);
        put(&mut attributes, "upstream_cluster.name", &sent.cluster);
        if record.asked.is_grpc {
            grpc(&mut attributes, answered.grpc_status);
        }
        if self.tracer.settings.istio_tags {
            istio(&mut attributes, own);
            party(&mut attributes, "source", &record.source);
            party(&mut attributes, "destination", &record.destination);
        }
        weft(&mut attributes, record);
        for (name, value) in &self.spans.tags {
            let value = match value {
                TagText::Text(value) => StringValue::from(Arc::clone(value)),
                TagText::Header(value) => text(String::from_utf8_lossy(value.as_bytes())),
            };
            attributes.push(KeyValue::new(name.to_string(), value));
        }
        let is_error = answered.status == 0 || answered.status >= 500;
        if is_error {
            attributes.push(KeyValue::new("error", "true"));
        }
        let name = match record.service.hostname.as_ref() {
            "" => "request".into(),
            host => match record.local_address {
                Some(address) => format!("{host}:{}/*", address.port()),
                None => host.to_owned(),
            },
        };
        SpanData {
            parent_span_id: self.parent.map_or(SpanId::INVALID, SpanId::from),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Server,
            name: Cow::Owned(name),
            start_time: record.start,
            end_time: wall(record, record.ended()),
            attributes,
            status: status(is_error, record.answered.reason),
            ..self.plain(self.span)
        }
    }

    fn client(&self, own: &Own, attempt: &Attempt) -> SpanData {
        let (record, outcome) = (&self.record, &attempt.outcome);
        let mut attributes = asked(record, own);
        put(&mut attributes, "upstream_cluster", &outcome.cluster);
        put(&mut attributes, "upstream_cluster.name", &outcome.cluster);
        if let Some(host) = outcome.host {
            let host = text(host.to_string());
            attributes.push(KeyValue::new("upstream_address", host.clone()));
            attributes.push(KeyValue::new("peer.address", host));
        }
        attributes.push(KeyValue::new(
            "http.status_code",
            text(outcome.status.to_string()),
        ));
        attributes.push(KeyValue::new(
            "response_flags",
            text(outcome.flags.to_string()),
        ));
        if record.asked.is_grpc {
            grpc(&mut attributes, outcome.grpc_status);
        }
        put(&mut attributes, "weft.reason", outcome.reason);
        let is_error = outcome.status == 0 || outcome.status >= 500;
        if is_error {
            attributes.push(KeyValue::new("error", "true"));
        }
        SpanData {
            parent_span_id: SpanId::from(self.span),
            span_kind: SpanKind::Client,
            name: Cow::Owned(format!("router {} egress", outcome.cluster)),
            start_time: wall(record, attempt.start),
            end_time: wall(record, attempt.end.unwrap_or(attempt.start)),
            attributes,
            status: status(is_error, outcome.reason),
            ..self.plain(attempt.span)
        }
    }

    fn step(&self, step: &Step) -> SpanData {
        let mut attributes = Vec::new();
        put(&mut attributes, "weft.reason", step.reason);
        SpanData {
            parent_span_id: SpanId::from(step.parent),
            name: Cow::Borrowed(step.name),
            start_time: wall(&self.record, step.start),
            end_time: wall(&self.record, step.end),
            attributes,
            status: status(!step.reason.is_empty(), step.reason),
            ..self.plain(step.span)
        }
    }

    fn plain(&self, span: u64) -> SpanData {
        let context = SpanContext::new(
            TraceId::from(self.trace),
            SpanId::from(span),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        SpanData {
            span_context: context,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed(""),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("weft").build(),
        }
    }
}

fn text(value: impl Into<String>) -> StringValue {
    StringValue::from(value.into())
}

fn put(attributes: &mut Vec<KeyValue>, name: &'static str, value: &str) {
    if !value.is_empty() {
        attributes.push(KeyValue::new(name, value.to_owned()));
    }
}

fn status(is_error: bool, reason: &'static str) -> Status {
    match is_error {
        true => Status::error(reason),
        false => Status::Unset,
    }
}

/// What spans of both kinds say of the request.
fn asked(record: &Record, own: &Own) -> Vec<KeyValue> {
    let asked = &record.asked;
    let mut attributes = Vec::with_capacity(48);
    let lossy = |value: &Option<http::HeaderValue>| {
        let value = value.as_ref()?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let path = asked.path.as_ref().map_or("", |path| path.as_str());
    let mut url = format!(
        "http://{}{path}",
        lossy(&asked.authority).unwrap_or_default()
    );
    let end = (0..=URL.min(url.len()))
        .rev()
        .find(|at| url.is_char_boundary(*at));
    url.truncate(end.unwrap_or_default());
    attributes.push(KeyValue::new("component", "proxy"));
    put(&mut attributes, "node_id", &own.node);
    if let Some(id) = lossy(&asked.id) {
        attributes.push(KeyValue::new("guid:x-request-id", id));
    }
    attributes.push(KeyValue::new("http.url", url));
    attributes.push(KeyValue::new("http.method", text(asked.method.as_str())));
    attributes.push(KeyValue::new("http.protocol", asked.protocol.word()));
    if let Some(agent) = lossy(&asked.user_agent) {
        attributes.push(KeyValue::new("user_agent", agent));
    }
    attributes.push(KeyValue::new(
        "request_size",
        text(asked.size.body.to_string()),
    ));
    if let Some(address) = record.source_address {
        attributes.push(KeyValue::new(
            "downstream_address",
            text(address.to_string()),
        ));
    }
    if asked.is_grpc {
        put(&mut attributes, "grpc.path", path);
    }
    attributes
}

fn grpc(attributes: &mut Vec<KeyValue>, status: Option<u16>) {
    if let Some(status) = status {
        attributes.push(KeyValue::new("grpc.status_code", text(status.to_string())));
    }
}

fn istio(attributes: &mut Vec<KeyValue>, own: &Own) {
    put(
        attributes,
        "istio.canonical_service",
        &own.canonical_service,
    );
    put(
        attributes,
        "istio.canonical_revision",
        &own.canonical_revision,
    );
    put(attributes, "istio.mesh_id", &own.mesh);
    put(attributes, "istio.namespace", &own.namespace);
    put(attributes, "istio.cluster_id", &own.cluster);
}

/// `istio.source_*` or `istio.destination_*`.
fn party(attributes: &mut Vec<KeyValue>, side: &str, party: &Party) {
    let kind = match party.workload.is_empty() {
        true => "",
        false => kind_word(party.kind),
    };
    for (name, value) in [
        ("workload", &*party.workload),
        ("namespace", &*party.namespace),
        ("cluster_id", &*party.cluster),
        ("canonical_service", &*party.canonical_service),
        ("canonical_revision", &*party.canonical_revision),
        ("app", &*party.app),
        ("app_version", &*party.version),
        ("workload_type", kind),
        ("instance_name", &*party.instance),
    ] {
        if !value.is_empty() {
            let name = format!("istio.{side}_{name}");
            attributes.push(KeyValue::new(name, value.to_owned()));
        }
    }
}

/// What Weft knows beyond that.
fn weft(attributes: &mut Vec<KeyValue>, record: &Record) {
    put(attributes, "weft.reason", record.answered.reason);
    if let Some(route) = &record.route {
        attributes.push(KeyValue::new("weft.route", text(route.to_string())));
    }
    if !record.policies.is_empty() {
        attributes.push(KeyValue::new("weft.policies", record.policies.join(",")));
    }
    if record.answered.flags != Flags::NONE || record.answered.status >= 400 {
        put(attributes, "weft.details", &record.answered.details);
    }
}
