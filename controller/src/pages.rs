//! The admin pages: metrics, readiness, and what the controller made of the objects. No secrets.

mod published;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Method, StatusCode};
use mesh::admin::{self, Answer, Routes};
use mesh::lifecycle::ready::Gates;
use mesh::telemetry::metrics::Metrics as Registry;
use mesh::telemetry::{log, process};
use serde::Serialize;
use serde_json::json;

use crate::metrics::Metrics;
use crate::problems::{Found, Problems};
use crate::publish;
use crate::resources::Resources;
use published::Published;

/// What the pages show.
#[derive(Clone)]
pub struct Sources {
    /// Everything registered.
    pub registry: Registry,
    /// The program's own counters.
    pub metrics: Metrics,
    /// What is still to be done before the program is ready.
    pub gates: Gates,
    /// What is published.
    pub resources: Arc<Resources>,
    /// What is wrong with the objects.
    pub problems: Arc<Problems>,
    /// The xDS server.
    pub discovery: publish::Service,
    /// Type URLs that are published.
    pub type_urls: Vec<&'static str>,
    /// The log filter, where this program has set the log up itself.
    pub log: Option<log::Handle>,
}

/// The pages by path.
pub fn routes(sources: Sources) -> Routes {
    let published = Published {
        resources: Arc::clone(&sources.resources),
        discovery: sources.discovery.clone(),
    };
    sources
        .registry
        .register(|it| it.register_collector(Box::new(published)));
    sources
        .registry
        .register(|it| process::register(it, "controller"));
    let log = sources.log.clone();
    let registry = sources.registry.clone();
    let sources = Arc::new(sources);
    let page = |show: fn(&Sources) -> Answer| {
        let sources = Arc::clone(&sources);
        move |_| std::future::ready(show(&sources))
    };
    Routes::default()
        .with(Method::GET, "/metrics", move |question| {
            std::future::ready(admin::metrics_page(&registry, &question))
        })
        .with(
            Method::GET,
            "/ready",
            page(|it| admin::ready_page(&it.gates)),
        )
        .with(Method::POST, "/logging", move |question| {
            std::future::ready(match &log {
                Some(log) => admin::log_level_page(log, &question.query),
                None => Answer::text(StatusCode::NOT_FOUND, "the log is not this program's own\n"),
            })
        })
        .with(Method::GET, "/debug/resources", page(resources))
        .with(Method::GET, "/debug/problems", page(problems))
        .with(Method::GET, "/debug/counters", page(counters))
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    bytes: usize,
    aliases: Vec<String>,
}

/// Every published resource by type: name, version, size and what else it is found by.
fn resources(sources: &Sources) -> Answer {
    let published = sources.resources.read();
    let mut types: BTreeMap<&str, Vec<Shown>> = BTreeMap::new();
    for type_url in &sources.type_urls {
        let table = published.table(type_url);
        let found = table.into_iter().flat_map(|table| table.after_name(None));
        let shown = found.map(|it| Shown {
            name: it.name.to_string(),
            version: it.version_text(),
            bytes: it.bytes.len(),
            aliases: it.links.aliases.iter().map(ToString::to_string).collect(),
        });
        types.insert(type_url, shown.collect());
    }
    drop(published);
    Answer::json(&types)
}

/// Every problem: rule, severity, file, line, object, field, reason.
fn problems(sources: &Sources) -> Answer {
    let problems = sources.problems.all();
    let shown: Vec<_> = problems
        .iter()
        .map(|Found { rule, problem: it }| {
            json!({
                "rule": rule.word(),
                "severity": rule.severity().word(),
                "file": it.file.display().to_string(),
                "line": it.line,
                "object": it.key.as_ref().map(ToString::to_string),
                "field": it.field,
                "reason": it.reason,
            })
        })
        .collect();
    Answer::json(&shown)
}

/// What was computed, published, sent and signed since the start.
fn counters(sources: &Sources) -> Answer {
    let resources: BTreeMap<_, _> = sources
        .resources
        .counters()
        .into_iter()
        .map(|(type_url, it)| {
            let shown =
                json!({"recomputed": it.recomputed, "changed": it.changed, "removed": it.removed});
            (type_url, shown)
        })
        .collect();
    let discovery = sources.discovery.counters();
    let types: BTreeMap<_, _> = discovery
        .types
        .iter()
        .map(|(type_url, it)| {
            let shown = json!({
                "pushes": it.pushes, "resources": it.resources, "removed": it.removed,
                "bytes": it.bytes, "acks": it.acks, "nacks": it.nacks, "stale": it.stale,
            });
            (type_url, shown)
        })
        .collect();
    Answer::json(&json!({
        "index": sources.metrics.index_counters(),
        "certificates": sources.metrics.certificate_counters(),
        "resources": resources,
        "discovery": {
            "open": discovery.open,
            "streams": discovery.streams,
            "refused": discovery.refused,
            "types": types,
        },
    }))
}
