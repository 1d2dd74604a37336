//! Pure. The access log that several objects come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::access_log::Filter;
use mesh::model::observe::AccessLog;
use objects::istio::Telemetry;

use super::is_ours;
use super::observing::{Observing, Provider};

/// What is said of one provider so far.
#[derive(Clone, Debug, Default)]
struct Said {
    is_off: bool,
    filter: Arc<str>,
}

/// A waypoint writes one log, the first by name of those that are on; none when all are off.
pub(super) fn merge(observing: &Observing, scopes: &[&Telemetry]) -> Option<AccessLog> {
    let default = |name: &String| (name.clone(), Said::default());
    let mut all: BTreeMap<String, Said> = observing.logging.iter().map(default).collect();
    for scope in scopes {
        let entries = scope.spec.access_logging.iter();
        let entries: Vec<_> = entries.filter(|it| is_ours(it.r#match.mode)).collect();
        // Who names providers says which there are; who names none is about those of the wider scope.
        let named = entries.iter().flat_map(|it| &it.providers);
        let named: Vec<&String> = named.map(|it| &it.name).collect();
        let wider: Vec<String> = all.keys().cloned().collect();
        if !named.is_empty() {
            all = named
                .into_iter()
                .map(|name| (name.clone(), all.get(name).cloned().unwrap_or_default()))
                .collect();
        }
        for entry in entries {
            let named = entry.providers.iter().map(|it| &it.name);
            let about: Vec<&String> = match entry.providers.is_empty() {
                true => wider.iter().collect(),
                false => named.collect(),
            };
            for name in about {
                if let Some(said) = all.get_mut(name) {
                    said.is_off = entry.disabled.unwrap_or_default();
                    said.filter = match &entry.filter {
                        Some(filter) if Filter::parse(&filter.expression).is_ok() => {
                            filter.expression.as_str().into()
                        }
                        _ => Arc::default(),
                    };
                }
            }
        }
    }
    let mut on = all.iter().filter(|(_, said)| !said.is_off);
    on.find_map(|(name, said)| match observing.providers.get(name)? {
        Provider::Log(log) => Some(AccessLog {
            filter: Arc::clone(&said.filter),
            ..log.clone()
        }),
        _ => None,
    })
}
