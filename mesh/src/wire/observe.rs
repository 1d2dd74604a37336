//! What is logged, counted and traced, both ways.

use proto::waypoint as pb;

use super::field::{Subject, all, origin_message, origin_of};
use super::{Error, provider};
use crate::model::observe::{AccessLog, MetricOverride, TagValue, Telemetry, Tracing};

pub(super) fn telemetry(subject: Subject<'_>, message: pb::Telemetry) -> Result<Telemetry, Error> {
    let log = |message: pb::AccessLog| AccessLog {
        json: message.json,
        format: message.format.into(),
        filter: message.filter.into(),
    };
    let metric = |message: pb::MetricOverride| MetricOverride {
        metric: message.metric.into(),
        disabled: message.disabled,
        labels: message
            .labels
            .into_iter()
            .map(|it| (it.label.into(), it.value.map(Into::into)))
            .collect(),
    };
    let tracing = message.tracing.map(|it| tracing(subject, it));
    Ok(Telemetry {
        access_log: message.access_log.map(log),
        tracing: tracing.transpose()?,
        metrics: message.metrics.into_iter().map(metric).collect(),
        origins: message.origins.into_iter().map(origin_of).collect(),
    })
}

pub(super) fn telemetry_message(telemetry: &Telemetry) -> pb::Telemetry {
    let Telemetry {
        access_log,
        tracing,
        metrics,
        origins,
    } = telemetry;
    let log = |log: &AccessLog| pb::AccessLog {
        json: log.json,
        format: log.format.to_string(),
        filter: log.filter.to_string(),
    };
    let metric = |it: &MetricOverride| pb::MetricOverride {
        metric: it.metric.to_string(),
        disabled: it.disabled,
        labels: it
            .labels
            .iter()
            .map(|(label, value)| pb::LabelChange {
                label: label.to_string(),
                value: value.as_ref().map(ToString::to_string),
            })
            .collect(),
    };
    pb::Telemetry {
        access_log: access_log.as_ref().map(log),
        tracing: tracing.as_ref().map(tracing_message),
        metrics: metrics.iter().map(metric).collect(),
        origins: origins.iter().map(origin_message).collect(),
    }
}

fn tracing(subject: Subject<'_>, message: pb::Tracing) -> Result<Tracing, Error> {
    use pb::tag::Value;
    let tag = |message: pb::Tag| {
        let value = match subject.required("tracing.tags.value", message.value)? {
            Value::Literal(text) => TagValue::Literal(text.into()),
            Value::Header(it) => TagValue::Header(it.name.into(), it.default.into()),
            Value::Environment(it) => TagValue::Environment(it.name.into(), it.default.into()),
        };
        Ok((message.name.into(), value))
    };
    Ok(Tracing {
        provider: message.provider.into(),
        collector: provider::address(subject, "tracing.collector", message.collector)?,
        b3: message.b3,
        sampling: message.sampling,
        reports: message.reports,
        propagates: message.propagates,
        istio_tags: message.istio_tags,
        tags: all(message.tags, tag)?,
    })
}

fn tracing_message(tracing: &Tracing) -> pb::Tracing {
    use pb::tag::Value;
    let Tracing {
        provider,
        collector,
        b3,
        sampling,
        reports,
        propagates,
        istio_tags,
        tags,
    } = tracing;
    let lookup = |name: &str, default: &str| pb::Lookup {
        name: name.into(),
        default: default.into(),
    };
    let value = |value: &TagValue| match value {
        TagValue::Literal(text) => Value::Literal(text.to_string()),
        TagValue::Header(name, default) => Value::Header(lookup(name, default)),
        TagValue::Environment(name, default) => Value::Environment(lookup(name, default)),
    };
    let tags = tags.iter().map(|(name, it)| pb::Tag {
        name: name.to_string(),
        value: Some(value(it)),
    });
    pb::Tracing {
        provider: provider.to_string(),
        collector: Some(provider::address_message(collector)),
        b3: *b3,
        sampling: *sampling,
        reports: *reports,
        propagates: *propagates,
        istio_tags: *istio_tags,
        tags: tags.collect(),
    }
}
