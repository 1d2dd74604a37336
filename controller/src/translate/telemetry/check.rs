//! Pure. What in a Telemetry object is not, or not fully, honoured.

use mesh::access_log::Filter;
use objects::istio::Telemetry;
use objects::istio::telemetry::{
    AccessLogging, CustomTag, MetricOverride, Metrics, Mode, ProviderRef, TagOperation, Tracing,
};
use objects::raw::Path;

use super::count;
use super::observing::{Observing, Provider};
use crate::translate::Finding;
use crate::translate::attachment::{self, Place};
use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

/// What decides what becomes of an object beside its own words.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The namespace whose objects are for the whole mesh.
    pub root: &'a str,
    /// The mesh's settings.
    pub observing: &'a Observing,
    /// Name of an older object for the same, which counts instead.
    pub older: Option<&'a str>,
    /// Where each of its references leads.
    pub places: Vec<Place>,
}

/// What its owner should know.
pub fn findings(object: &Telemetry, situation: &Situation<'_>) -> Vec<Finding> {
    let mut remarks = Remarks::default();
    let spec = &object.spec;
    if let Some(older) = situation.older {
        let reason = format!("the older Telemetry {older} is for the same and counts alone");
        let place = Path::of_keys(&["spec"]);
        remarks.add(Rule::DuplicateTelemetry, place, reason);
    }
    let selector = spec.selector.as_ref();
    if selector.is_some_and(|it| !it.match_labels.is_empty()) {
        let place = Path::of_keys(&["spec", "selector"]);
        let reason = "workloads have no proxy of their own: only what is for a whole namespace, or attached to a waypoint or a service, has an effect";
        remarks.add(Rule::NotHonoured, place, reason);
    }
    let unserved = targets(object, situation, &mut remarks);
    let place = |list: &str, index: usize| Path::of_keys(&["spec", list]).at(index);
    for (index, entry) in spec.tracing.iter().enumerate() {
        tracing(entry, &place("tracing", index), situation, &mut remarks);
    }
    for (index, entry) in spec.metrics.iter().enumerate() {
        metrics(entry, &place("metrics", index), situation, &mut remarks);
    }
    for (index, entry) in spec.access_logging.iter().enumerate() {
        let place = place("accessLogging", index);
        logging(entry, &place, situation, &mut remarks);
    }
    let mut findings = remarks.into_findings();
    findings.extend(unserved);
    findings
}

/// References that cannot be, and those that no waypoint serves.
fn targets(object: &Telemetry, situation: &Situation<'_>, remarks: &mut Remarks) -> Vec<Finding> {
    let spec = &object.spec;
    let namespace = &object.metadata.namespace;
    let references = || attachment::references(spec.target_ref.as_ref(), &spec.target_refs);
    let mut unserved = Vec::new();
    for ((target, path), place) in references().zip(&situation.places) {
        match attachment::complaint(situation.root, namespace, target) {
            Some((key, reason)) => remarks.invalid(path.key(key), reason),
            None => unserved.extend(attachment::findings(
                [(target, path)],
                std::slice::from_ref(place),
            )),
        }
    }
    unserved
}

/// An entry that is about the client's side only.
fn side(mode: Mode, place: &Path, remarks: &mut Remarks) {
    if mode == Mode::Client {
        let place = place.clone().key("match").key("mode");
        let reason = "a waypoint is on the server's side: entries for clients have no effect";
        remarks.add(Rule::NotHonoured, place, reason);
    }
}

fn providers(
    names: &[ProviderRef],
    place: &Path,
    situation: &Situation<'_>,
    is_right: impl Fn(&Provider) -> bool,
    remarks: &mut Remarks,
) {
    let place = place.clone().key("providers");
    let mut usable = 0;
    for (index, provider) in names.iter().enumerate() {
        let place = place.clone().at(index).key("name");
        let name = &provider.name;
        match situation.observing.providers.get(name) {
            None => {
                let reason = format!("MeshConfig has no provider {name:?}");
                remarks.add(Rule::UnknownProvider, place, reason);
            }
            Some(known) if !is_right(known) => {
                let reason = format!(
                    "provider {name:?} is not for this, or of a kind that is not supported"
                );
                remarks.add(Rule::UnknownProvider, place, reason);
            }
            Some(_) => {
                usable += 1;
                if usable > 1 {
                    let reason = "only the first provider is used";
                    remarks.add(Rule::NotHonoured, place, reason);
                }
            }
        }
    }
}

fn tracing(entry: &Tracing, place: &Path, situation: &Situation<'_>, remarks: &mut Remarks) {
    side(entry.r#match.mode, place, remarks);
    let is_right = |it: &Provider| matches!(it, Provider::Tracing { .. });
    providers(&entry.providers, place, situation, is_right, remarks);
    if let Some(share) = entry.random_sampling_percentage
        && !(0..=10_000).contains(&share.0)
    {
        let place = place.clone().key("randomSamplingPercentage");
        remarks.invalid(place, "a percentage is between 0 and 100");
    }
    if entry.use_request_id_for_trace_sampling == Some(false) {
        let place = place.clone().key("useRequestIdForTraceSampling");
        let reason = "the request id always decides, so that all proxies decide alike";
        remarks.add(Rule::NotHonoured, place, reason);
    }
    for (name, tag) in &entry.custom_tags {
        let place = place.clone().key("customTags").key(name);
        custom_tag(tag, place, remarks);
    }
}

fn custom_tag(tag: &CustomTag, place: Path, remarks: &mut Remarks) {
    let count = [
        tag.literal.is_some(),
        tag.header.is_some(),
        tag.environment.is_some(),
        tag.formatter.is_some(),
    ];
    let count = count.iter().filter(|it| **it).count();
    if count != 1 {
        remarks.invalid(place, "a tag has one of literal, header and environment");
    } else if tag.formatter.is_some() {
        let place = place.key("formatter");
        remarks.add(Rule::NotHonoured, place, "tags by format are not made");
    }
}

fn metrics(entry: &Metrics, place: &Path, situation: &Situation<'_>, remarks: &mut Remarks) {
    let is_right = |it: &Provider| *it == Provider::Metrics;
    providers(&entry.providers, place, situation, is_right, remarks);
    if entry.reporting_interval.is_some() {
        let place = place.clone().key("reportingInterval");
        let reason = "numbers are brought up to date at every request";
        remarks.add(Rule::NotHonoured, place, reason);
    }
    for (index, one) in entry.overrides.iter().enumerate() {
        let place = place.clone().key("overrides").at(index);
        metric_override(one, &place, remarks);
    }
}

fn metric_override(one: &MetricOverride, place: &Path, remarks: &mut Remarks) {
    side(one.r#match.mode, place, remarks);
    if !one.r#match.custom_metric.is_empty() {
        let place = place.clone().key("match").key("customMetric");
        remarks.add(
            Rule::NotHonoured,
            place,
            "there are no other metrics than the standard ones",
        );
    }
    if !count::is_metric(&one.r#match.metric) {
        let place = place.clone().key("match").key("metric");
        remarks.invalid(place, "no standard metric");
    }
    for (label, change) in &one.tag_overrides {
        let is_set = change.operation == TagOperation::Upsert;
        if is_set && count::literal(&change.value).is_none() {
            let place = place.clone().key("tagOverrides").key(label).key("value");
            let reason = "only a text in quotes can be a label's value: the label stays as it is";
            remarks.add(Rule::NotHonoured, place, reason);
        }
    }
}

fn logging(entry: &AccessLogging, place: &Path, situation: &Situation<'_>, remarks: &mut Remarks) {
    side(entry.r#match.mode, place, remarks);
    let is_right = |it: &Provider| matches!(it, Provider::Log(_));
    providers(&entry.providers, place, situation, is_right, remarks);
    if let Some(filter) = &entry.filter
        && let Err(error) = Filter::parse(&filter.expression)
    {
        let place = place.clone().key("filter").key("expression");
        let reason = format!("every request is logged: {error}");
        remarks.add(Rule::NotHonoured, place, reason);
    }
}
