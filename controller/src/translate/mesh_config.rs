//! Pure. MeshConfig: ConfigMap `istio`, key `mesh`, in the system namespace.

mod authorizers;

use std::sync::Arc;

use mesh::identity::{ParseError, TrustDomain};
use mesh::model::waypoint::PathNormalization;
use objects::istio::Span;
use objects::istio::destination_rule::balancing::LocalitySetting;
use objects::istio::destination_rule::pool::H2Upgrade;
use objects::istio::virtual_service::Retries;
use objects::labels::Labels;
use objects::raw::{self, Document, Path};
use objects::selector::Selector;
use serde::Deserialize;
use serde_json::Value;

use super::rule::Rule;
use super::telemetry::observing::{self, Observing};
use super::traffic::Traffic;
use super::visibility::EntryVisibility;
use super::{Cluster, Finding};
pub use authorizers::{Authorizer, read as authorizers};

/// Name of the ConfigMap.
pub const NAME: &str = "istio";
/// Key in it.
pub const DATA_KEY: &str = "mesh";

/// Settings of the whole mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshConfig {
    /// Trust domain of every identity; `cluster.local` unless said otherwise.
    pub trust_domain: TrustDomain,
    /// Namespace whose policies apply to all; the system namespace when not said.
    pub root_namespace: Option<String>,
    /// Who sees service entries; `None` when it is not said.
    pub entry_visibility: Option<Arc<EntryVisibility>>,
    /// Which namespaces are looked at, by their labels; all when there is none.
    pub discovery_selectors: Vec<Selector>,
    /// What holds for traffic through waypoints where objects say nothing.
    pub traffic: Arc<Traffic>,
    /// What is logged, counted and traced where objects say nothing.
    pub observing: Arc<Observing>,
    /// Providers beside the data path, as far as they are about authorization.
    pub authorizers: Vec<Authorizer>,
    /// Everything that was written, also what this version does not read.
    pub document: Value,
}

/// Why a MeshConfig is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not YAML, or not one map.
    #[error("not readable as YAML")]
    Yaml(#[source] raw::Error),
    /// More than one document, or something else than a map.
    #[error("not one map of settings")]
    Shape,
    /// A setting has a wrong type.
    #[error("a setting has a wrong type")]
    Type(#[source] serde_json::Error),
    /// The trust domain is not one.
    #[error("trustDomain {text:?} cannot be used")]
    TrustDomain {
        /// What was written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Shape {
    trust_domain: Option<String>,
    root_namespace: Option<String>,
    service_entry_visibility: Option<EntryVisibility>,
    discovery_selectors: Vec<Selector>,
    connect_timeout: Option<Span>,
    locality_lb_setting: LocalitySetting,
    h2_upgrade_policy: H2Upgrade,
    default_http_retry_policy: Option<Retries>,
    default_virtual_service_export_to: Vec<String>,
    default_destination_rule_export_to: Vec<String>,
    extension_providers: Vec<Authorizer>,
    access_log_file: String,
    access_log_format: String,
    access_log_encoding: observing::Encoding,
    enable_tracing: Option<bool>,
    default_providers: observing::Defaults,
    default_config: observing::ProxyConfig,
    path_normalization: Normalization,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Normalization {
    normalization: NormalizationType,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum NormalizationType {
    #[default]
    Default,
    None,
    Base,
    MergeSlashes,
    DecodeAndMergeSlashes,
}

impl From<NormalizationType> for PathNormalization {
    fn from(written: NormalizationType) -> Self {
        match written {
            NormalizationType::None => Self::None,
            NormalizationType::Default | NormalizationType::Base => Self::Base,
            NormalizationType::MergeSlashes => Self::MergeSlashes,
            NormalizationType::DecodeAndMergeSlashes => Self::DecodeAndMergeSlashes,
        }
    }
}

impl MeshConfig {
    /// Whether a namespace with these labels is looked at.
    pub fn discovers(&self, labels: &Labels) -> bool {
        let selectors = &self.discovery_selectors;
        selectors.is_empty() || selectors.iter().any(|selector| selector.matches(labels))
    }
}

impl Shape {
    fn traffic(&mut self) -> Traffic {
        Traffic {
            connect_timeout: self
                .connect_timeout
                .map(|it| it.0)
                .filter(|it| !it.is_zero()),
            locality: std::mem::take(&mut self.locality_lb_setting),
            upgrades: self.h2_upgrade_policy == H2Upgrade::Upgrade,
            retries: self.default_http_retry_policy.take(),
            virtual_service_export: std::mem::take(&mut self.default_virtual_service_export_to),
            destination_rule_export: std::mem::take(&mut self.default_destination_rule_export_to),
            path_normalization: self.path_normalization.normalization.into(),
        }
    }

    fn observing(&mut self, findings: &mut Vec<Finding>) -> Observing {
        let written = observing::Written {
            access_log_file: std::mem::take(&mut self.access_log_file),
            access_log_format: std::mem::take(&mut self.access_log_format),
            access_log_encoding: self.access_log_encoding,
            enable_tracing: self.enable_tracing.unwrap_or(true),
            default_providers: std::mem::take(&mut self.default_providers),
            default_config: std::mem::take(&mut self.default_config),
        };
        let entries = self.extension_providers.iter().map(Authorizer::observer);
        let (observing, faults) = observing::read(&written, entries);
        let place = &["data", DATA_KEY];
        let faults = faults.into_iter();
        findings.extend(faults.map(|reason| Finding::new(Rule::NotHonoured, place, reason)));
        observing
    }
}

/// Reads the text under the key, and says which settings have no effect.
///
/// # Errors
/// When it cannot be used at all; the caller keeps the last good one.
pub fn parse(text: &str) -> Result<(MeshConfig, Vec<Finding>), Error> {
    let mut documents = raw::parse(text.as_bytes()).map_err(Error::Yaml)?;
    let document = match (documents.pop(), documents.is_empty()) {
        (None, _) => Document::without_lines(Value::Object(serde_json::Map::new())),
        (Some(document), true) if document.value().is_object() => document,
        _ => return Err(Error::Shape),
    };
    let mut findings = Vec::new();
    let value = document.value();
    let mut shape: Shape = serde_ignored::deserialize(value, |path| {
        let path = Path::from(&path);
        let reason = format!(
            "setting {path} in line {} of MeshConfig is not honoured by this version",
            document.line_of(&path)
        );
        findings.push(Finding::new(Rule::NotHonoured, &["data", DATA_KEY], reason));
    })
    .map_err(Error::Type)?;
    let trust_domain = match shape.trust_domain.take().filter(|text| !text.is_empty()) {
        None => TrustDomain::default(),
        Some(text) => match TrustDomain::parse(&text) {
            Ok(trust_domain) => trust_domain,
            Err(source) => return Err(Error::TrustDomain { text, source }),
        },
    };
    for fault in authorizers::faults(&shape.extension_providers) {
        let reason = format!("{fault}: it has no effect");
        findings.push(Finding::new(
            Rule::InvalidValue,
            &["data", DATA_KEY],
            reason,
        ));
    }
    let observing = shape.observing(&mut findings);
    let traffic = shape.traffic();
    let root_namespace = shape.root_namespace.filter(|text| !text.is_empty());
    Ok((
        MeshConfig {
            trust_domain,
            root_namespace,
            entry_visibility: shape.service_entry_visibility.map(Arc::new),
            discovery_selectors: shape.discovery_selectors,
            traffic: Arc::new(traffic),
            observing: Arc::new(observing),
            authorizers: shape.extension_providers,
            document: value.clone(),
        },
        findings,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_trust_domain_and_names_what_it_does_not_honour() {
        let text = "trustDomain: example.org\nprotocolDetectionTimeout: 1s\nrootNamespace: root\n";
        let (config, findings) = parse(text).unwrap();
        assert_eq!(config.trust_domain.as_str(), "example.org");
        assert_eq!(config.root_namespace.as_deref(), Some("root"));
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0]
                .reason
                .contains("protocolDetectionTimeout in line 2"),
            "{findings:?}"
        );
    }

    #[test]
    fn an_empty_text_is_all_defaults_and_nonsense_is_refused() {
        assert_eq!(parse("").unwrap().0.trust_domain, TrustDomain::default());
        for text in [
            "- a",
            "trustDomain: [1]",
            "trustDomain: 'a b'",
            "a: [",
            "a: 1\n---\nb: 1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_servers_for_authorization_and_says_which_cannot_be_used() {
        let text = "
extensionProviders:
- { name: a, envoyExtAuthzGrpc: { service: x.n.svc.cluster.local, port: 9000, timeout: 1s } }
- { name: b, envoyExtAuthzHttp: { service: h, port: 0 } }
- { name: a, envoyExtAuthzHttp: { service: h, port: 1 } }
- { name: c, envoyExtAuthzHttp: { service: '', port: 1, statusOnError: '403' } }
- { name: d, envoyExtAuthzHttp: { service: h, port: 1, statusOnError: nonsense } }
- { name: e, envoyExtAuthzGrpc: { service: a/b/c, port: 1 } }
- { name: f, somethingNew: { service: h } }
pathNormalization: { normalization: MERGE_SLASHES }
";
        let (config, findings) = parse(text).unwrap();
        let reasons: Vec<&str> = findings.iter().map(|it| it.reason.as_str()).collect();
        for (reason, expected) in reasons.iter().zip([
            "setting extensionProviders[6].somethingNew in line 9",
            "extensionProviders[1] (\"b\"): port 0 is not",
            "extensionProviders[2] (\"a\") has the name of another",
            "extensionProviders[3] (\"c\"): service is missing",
            "extensionProviders[4] (\"d\"): statusOnError \"nonsense\"",
            "extensionProviders[5] (\"e\"): service \"a/b/c\" is not namespace/host",
        ]) {
            assert!(reason.starts_with(expected), "{reason}");
        }
        assert_eq!(reasons.len(), 6);
        let expected = PathNormalization::MergeSlashes;
        assert_eq!(config.traffic.path_normalization, expected);
        assert!(parse("pathNormalization: { normalization: ODD }").is_err());
    }
}
