//! Pure. What MeshConfig says of logs, metrics and traces: settings for all, and the providers that
//! Telemetry objects name. Source: docs/compat.md#telemetry.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::access_log::Format;
use mesh::model::observe::AccessLog;
use mesh::model::provider::{ProviderAddress, ProviderHost};
use mesh::names::NamespacedHostname;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::FindService;
use crate::translate::Cluster;

/// The log that Istio always has, under this name.
pub const BUILT_IN_LOG: &str = "envoy";
/// The metrics that Istio always has, under this name.
pub const BUILT_IN_METRICS: &str = "prometheus";
/// Where lines go.
const OUTPUT: &str = "/dev/stdout";

/// Settings of MeshConfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observing {
    /// Whether traces are made at all.
    pub traces: bool,
    /// `defaultConfig.tracing.sampling`, in hundredths of a percent.
    pub sampling: Option<u32>,
    /// Names of providers of traces where no object says.
    pub tracing: Vec<String>,
    /// Names of providers of logs where no object says.
    pub logging: Vec<String>,
    /// What is known by which name.
    pub providers: BTreeMap<String, Provider>,
}

/// Something that Telemetry objects can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A log on standard output.
    Log(AccessLog),
    /// A collector of traces.
    Tracing {
        /// Host, as written: `NAMESPACE/HOST`, a host, or an address.
        service: String,
        /// Port.
        port: u16,
        /// Whether contexts travel as B3.
        b3: bool,
    },
    /// The metrics page.
    Metrics,
    /// Something for another purpose, or that is not supported.
    Other,
}

/// The part of MeshConfig that is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Where lines go; empty for nowhere.
    pub access_log_file: String,
    /// How lines look.
    pub access_log_format: String,
    /// Whether lines are JSON.
    pub access_log_encoding: Encoding,
    /// Whether traces are made at all.
    pub enable_tracing: bool,
    /// Providers where no object says.
    pub default_providers: Defaults,
    /// Settings of proxies.
    pub default_config: ProxyConfig,
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Encoding {
    /// As text.
    #[default]
    Text,
    /// As JSON objects.
    Json,
}

/// Providers where no object says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Defaults {
    /// Of traces.
    pub tracing: Vec<String>,
    /// Of metrics.
    pub metrics: Vec<String>,
    /// Of logs.
    pub access_logging: Vec<String>,
}

/// Settings of proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProxyConfig {
    /// Of traces.
    pub tracing: ProxyTracing,
}

/// Settings of traces of proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProxyTracing {
    /// Percentage of traces that are sampled.
    pub sampling: Option<objects::istio::telemetry::Percentage>,
}

/// The kinds of an entry of `extensionProviders` that are about logs, metrics and traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kinds {
    /// A collector that takes OTLP.
    pub opentelemetry: Option<Collector>,
    /// A collector that takes Zipkin's spans.
    pub zipkin: Option<Collector>,
    /// A log.
    pub envoy_file_access_log: Option<FileLog>,
    /// The metrics page.
    pub prometheus: Option<Nothing>,
}

/// Without settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Nothing {}

/// A collector of traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Collector {
    /// Host.
    pub service: String,
    /// Port.
    pub port: u32,
}

/// A log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct FileLog {
    /// Where lines go.
    pub path: String,
    /// How they look.
    pub log_format: LogFormat,
}

/// How lines look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LogFormat {
    /// As text.
    pub text: String,
    /// As JSON objects.
    pub labels: Option<Map<String, Value>>,
}

/// Takes the settings over, and says what of them cannot be: each is left out.
pub fn read<'a>(
    written: &Written,
    entries: impl IntoIterator<Item = (&'a str, Kinds)>,
) -> (Observing, Vec<String>) {
    let mut faults = Vec::new();
    let built_in = AccessLog {
        json: written.access_log_encoding == Encoding::Json,
        format: written.access_log_format.as_str().into(),
        filter: Arc::default(),
    };
    let built_in = usable(built_in, "accessLogFormat", &mut faults);
    check_path("accessLogFile", &written.access_log_file, &mut faults);
    let mut providers = BTreeMap::from([
        (BUILT_IN_LOG.to_owned(), Provider::Log(built_in)),
        (BUILT_IN_METRICS.to_owned(), Provider::Metrics),
    ]);
    for (name, kinds) in entries {
        let provider = provider(name, &kinds, &mut faults);
        providers.insert(name.to_owned(), provider);
    }
    let defaults = &written.default_providers;
    let mut logging = defaults.access_logging.clone();
    if logging.is_empty() && !written.access_log_file.is_empty() {
        logging.push(BUILT_IN_LOG.to_owned());
    }
    let lists = [
        ("tracing", &defaults.tracing),
        ("metrics", &defaults.metrics),
        ("accessLogging", &defaults.access_logging),
    ];
    for (list, names) in lists {
        let unknown = names.iter().filter(|name| !providers.contains_key(*name));
        faults.extend(unknown.map(|name| {
            format!("defaultProviders.{list} names {name:?}, which extensionProviders has not")
        }));
    }
    let sampling = written.default_config.tracing.sampling.and_then(|share| {
        let parts = u32::try_from(share.0).ok().filter(|it| *it <= 10_000);
        if parts.is_none() {
            faults.push("defaultConfig.tracing.sampling is not between 0 and 100".to_owned());
        }
        parts
    });
    let observing = Observing {
        traces: written.enable_tracing,
        sampling,
        tracing: defaults.tracing.clone(),
        logging,
        providers,
    };
    (observing, faults)
}

fn provider(name: &str, kinds: &Kinds, faults: &mut Vec<String>) -> Provider {
    let at = |field: &str| format!("extensionProviders {name:?}: {field}");
    if let Some(log) = &kinds.envoy_file_access_log {
        check_path(&at("envoyFileAccessLog.path"), &log.path, faults);
        let labels = log.log_format.labels.clone().map(Value::Object);
        let settings = AccessLog {
            json: labels.is_some(),
            format: match labels {
                Some(labels) => labels.to_string().into(),
                None => log.log_format.text.as_str().into(),
            },
            filter: Arc::default(),
        };
        let field = at("envoyFileAccessLog.logFormat");
        return Provider::Log(usable(settings, &field, faults));
    }
    let collector = [(&kinds.opentelemetry, false), (&kinds.zipkin, true)];
    for (collector, b3) in collector {
        let Some(collector) = collector else { continue };
        let port = u16::try_from(collector.port).ok().filter(|port| *port > 0);
        let (Some(port), false) = (port, collector.service.is_empty()) else {
            faults.push(at("a collector has a service and a port"));
            return Provider::Other;
        };
        if b3 {
            faults.push(at(
                "spans are sent to a zipkin provider over OTLP/gRPC, which it must take there; contexts travel as B3",
            ));
        }
        return Provider::Tracing {
            service: collector.service.clone(),
            port,
            b3,
        };
    }
    match kinds.prometheus {
        Some(_) => Provider::Metrics,
        None => Provider::Other,
    }
}

fn check_path(field: &str, path: &str, faults: &mut Vec<String>) {
    if !path.is_empty() && path != OUTPUT {
        faults.push(format!("{field} is {path:?}: lines go to standard output"));
    }
}

/// The settings with the standard format instead of one that is not understood.
fn usable(settings: AccessLog, field: &str, faults: &mut Vec<String>) -> AccessLog {
    let format = match settings.json {
        true => Format::json(&settings.format),
        false => Format::text(&settings.format),
    };
    match format {
        Ok(_) => settings,
        Err(error) => {
            faults.push(format!("{field}: {error}; the standard format stands"));
            AccessLog {
                format: Arc::default(),
                ..settings
            }
        }
    }
}

/// Where a collector is.
pub(super) fn address(
    cluster: &Cluster,
    service: &str,
    port: u16,
    elsewhere: FindService<'_>,
) -> ProviderAddress {
    let in_cluster = |host: &str| {
        let (namespace, _) = cluster.service_of(host)?;
        Some(NamespacedHostname::new(namespace, host))
    };
    let known = NamespacedHostname::parse(service)
        .or_else(|| in_cluster(service))
        .or_else(|| elsewhere(service));
    let host = match (known, service.parse::<std::net::IpAddr>()) {
        (_, Ok(address)) => ProviderHost::Address(address.to_canonical()),
        (Some(key), _) => ProviderHost::Service(key),
        (None, _) => ProviderHost::Name(service.into()),
    };
    ProviderAddress { host, port }
}
