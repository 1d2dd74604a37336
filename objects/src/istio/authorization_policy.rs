//! Pure. AuthorizationPolicy. Lists are `None` where the document has none: an empty list is something else.

use serde::Deserialize;

use super::WorkloadSelector;
use crate::meta::Metadata;

/// A list of patterns or addresses, as written.
pub type Values = Option<Vec<String>>;

/// Who may connect to what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AuthorizationPolicy {
    /// Name and annotations.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: AuthorizationPolicySpec,
}

/// `spec` of an AuthorizationPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AuthorizationPolicySpec {
    /// The workloads it is about; all of the namespace when absent.
    pub selector: Option<WorkloadSelector>,
    /// One thing whose waypoint enforces it, the older spelling of `targetRefs`.
    pub target_ref: Option<TargetRef>,
    /// Things whose waypoints enforce it.
    pub target_refs: Vec<TargetRef>,
    /// Alternatives; a policy without rules matches nothing.
    pub rules: Vec<Rule>,
    /// What happens to what matches.
    pub action: Action,
    /// Who decides, with CUSTOM.
    pub provider: Option<Provider>,
}

/// What happens to what matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// It is admitted, and what no ALLOW policy admits is not.
    #[default]
    Allow,
    /// It is refused.
    Deny,
    /// It is noted.
    Audit,
    /// Somebody else decides.
    Custom,
}

/// Who decides instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Provider {
    /// Its name in MeshConfig's `extensionProviders`.
    pub name: String,
}

/// Something that a policy is attached to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// Its API group; empty for the legacy group.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, when it is said.
    pub namespace: Option<String>,
}

/// One rule: some source, some operation and every condition must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Who connects; anybody when absent.
    pub from: Option<Vec<From>>,
    /// To do what; anything when absent.
    pub to: Option<Vec<To>>,
    /// Further conditions.
    pub when: Option<Vec<Condition>>,
}

/// An entry of `from`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct From {
    /// All of its fields must match.
    pub source: Source,
}

/// Who connects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// Identities without `spiffe://`.
    pub principals: Values,
    /// None of these.
    pub not_principals: Values,
    /// Identities in a token of the request.
    pub request_principals: Values,
    /// None of these.
    pub not_request_principals: Values,
    /// Namespaces of identities.
    pub namespaces: Values,
    /// None of these.
    pub not_namespaces: Values,
    /// Addresses and ranges of the peer.
    pub ip_blocks: Values,
    /// None of these.
    pub not_ip_blocks: Values,
    /// Addresses that a proxy in front says.
    pub remote_ip_blocks: Values,
    /// None of these.
    pub not_remote_ip_blocks: Values,
    /// Service accounts, as `namespace/name` or `name`.
    pub service_accounts: Values,
    /// None of these.
    pub not_service_accounts: Values,
    /// Trust domains of identities.
    pub trust_domains: Values,
    /// None of these.
    pub not_trust_domains: Values,
}

/// An entry of `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct To {
    /// All of its fields must match.
    pub operation: Operation,
}

/// What is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Operation {
    /// Hosts of the request.
    pub hosts: Values,
    /// None of these.
    pub not_hosts: Values,
    /// Ports, in digits.
    pub ports: Values,
    /// None of these.
    pub not_ports: Values,
    /// Methods of the request.
    pub methods: Values,
    /// None of these.
    pub not_methods: Values,
    /// Paths of the request.
    pub paths: Values,
    /// None of these.
    pub not_paths: Values,
}

/// An entry of `when`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, e.g. `source.ip`.
    pub key: String,
    /// One of these.
    pub values: Values,
    /// None of these.
    pub not_values: Values,
}
