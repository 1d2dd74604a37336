//! Pure. The traces that several objects come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::model::observe::{TagValue, Tracing};
use objects::istio::Telemetry;
use objects::istio::telemetry::CustomTag;

use super::observing::{self, Provider};
use super::{FindService, is_ours, shared};
use crate::translate::Cluster;

/// Share of traces where nobody says: 1 %.
const SAMPLING: u32 = 100;

/// `None` when traces are switched off or nobody names a collector.
pub(super) fn merge(
    cluster: &Cluster,
    scopes: &[&Telemetry],
    elsewhere: FindService<'_>,
) -> Option<Tracing> {
    let observing = &cluster.observing;
    let mut providers: Vec<&str> = observing.tracing.iter().map(String::as_str).collect();
    let mut sampling = observing.sampling.unwrap_or(SAMPLING);
    let (mut is_silent, mut istio_tags, mut keeps) = (false, true, false);
    let mut tags: &BTreeMap<String, CustomTag> = &BTreeMap::new();
    let entries = scopes.iter().flat_map(|it| &it.spec.tracing);
    for entry in entries.filter(|it| is_ours(it.r#match.mode)) {
        if !entry.providers.is_empty() {
            providers = entry.providers.iter().map(|it| it.name.as_str()).collect();
        }
        let share = entry.random_sampling_percentage;
        let share = share.and_then(|it| u32::try_from(it.0).ok());
        sampling = share.filter(|it| *it <= 10_000).unwrap_or(sampling);
        is_silent = entry.disable_span_reporting.unwrap_or(is_silent);
        istio_tags = entry.enable_istio_tags.unwrap_or(istio_tags);
        keeps = entry.disable_context_propagation.unwrap_or(keeps);
        if !entry.custom_tags.is_empty() {
            tags = &entry.custom_tags;
        }
    }
    let mut known = providers.iter().copied().filter_map(|name| {
        let provider = observing.providers.get(name)?;
        Some((name, provider))
    });
    let (name, (service, port, b3)) = known.find_map(|(name, provider)| match provider {
        Provider::Tracing { service, port, b3 } => Some((name, (service, *port, *b3))),
        _ => None,
    })?;
    observing.traces.then(|| Tracing {
        provider: shared(name),
        collector: observing::address(cluster, service, port, elsewhere),
        b3,
        sampling,
        reports: !is_silent,
        propagates: !keeps,
        istio_tags,
        tags: tags.iter().filter_map(tag).collect(),
    })
}

fn tag((name, tag): (&String, &CustomTag)) -> Option<(Arc<str>, TagValue)> {
    let value = if let Some(literal) = &tag.literal {
        TagValue::Literal(shared(&literal.value))
    } else if let Some(header) = &tag.header {
        let name = header.name.to_ascii_lowercase();
        TagValue::Header(shared(&name), shared(&header.default_value))
    } else if let Some(variable) = &tag.environment {
        TagValue::Environment(shared(&variable.name), shared(&variable.default_value))
    } else {
        return None;
    };
    Some((shared(name), value))
}
