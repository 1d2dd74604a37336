//! Pure. DestinationRule: how requests to a service are spread, held back and secured.

pub mod balancing;
pub mod pool;

use serde::Deserialize;

use super::{WorkloadSelector, span::Span};
use crate::labels::Labels;
use crate::meta::Metadata;
pub use balancing::LoadBalancer;
pub use pool::ConnectionPool;

/// What holds for requests to a service, once a route has chosen it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DestinationRule {
    /// Name, namespace, age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: DestinationRuleSpec,
}

// No number in it can be NaN: documents have none.
impl Eq for DestinationRule {}

/// `spec` of a DestinationRule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    /// The service: a full name, a short one of the rule's namespace, or a wildcard.
    pub host: String,
    /// What holds for all of it.
    pub traffic_policy: Option<Box<TrafficPolicy>>,
    /// Parts of it.
    pub subsets: Vec<Subset>,
    /// Namespaces whose clients see the rule; `.` is its own, `*` all.
    pub export_to: Vec<String>,
    /// The clients that it is for.
    pub workload_selector: Option<WorkloadSelector>,
}

/// A part of a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subset {
    /// What routes call it.
    pub name: String,
    /// Labels that its endpoints have.
    pub labels: Labels,
    /// What holds for it instead.
    pub traffic_policy: Option<Box<TrafficPolicy>>,
}

/// How requests are spread, held back and secured.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancer>,
    /// How much at once.
    pub connection_pool: Option<ConnectionPool>,
    /// When endpoints are left out.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the endpoints.
    pub tls: Option<Tls>,
    /// What holds for single ports instead of everything else.
    pub port_level_settings: Vec<PortPolicy>,
    /// A tunnel to ask for.
    pub tunnel: Option<Tunnel>,
    /// A header that precedes the bytes.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How many retries at once.
    pub retry_budget: Option<RetryBudget>,
}

/// What holds for one port.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PortPolicy {
    /// The port of the service.
    pub port: Option<PortSelector>,
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancer>,
    /// How much at once.
    pub connection_pool: Option<ConnectionPool>,
    /// When endpoints are left out.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the endpoints.
    pub tls: Option<Tls>,
}

/// A port by its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PortSelector {
    /// The number.
    pub number: u32,
}

/// When endpoints are left out for a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Answers of 5xx in a row; 0 is off, absent is 5.
    pub consecutive5xx_errors: Option<u32>,
    /// Answers of 502, 503, 504 in a row; 0 or absent is off.
    pub consecutive_gateway_errors: Option<u32>,
    /// Whether failures without an answer are counted by themselves.
    pub split_external_local_origin_errors: bool,
    /// Failures without an answer in a row, when they are; 0 is off, absent is 5.
    pub consecutive_local_origin_failures: Option<u32>,
    /// How often is looked; 10 s.
    pub interval: Option<Span>,
    /// How long an endpoint is left out the first time; 30 s.
    pub base_ejection_time: Option<Span>,
    /// Largest share that is left out; 10.
    pub max_ejection_percent: Option<u32>,
    /// Below which share of healthy endpoints nothing is left out; 0.
    pub min_health_percent: u32,
}

/// TLS to the endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tls {
    /// Whether, and with a certificate of whose.
    pub mode: TlsMode,
    /// File of our certificate.
    pub client_certificate: String,
    /// File of its key.
    pub private_key: String,
    /// File of those who vouch for the server; `system` for those of the operating system.
    pub ca_certificates: String,
    /// A Secret instead of the files.
    pub credential_name: String,
    /// Names that the server's certificate may have.
    pub subject_alt_names: Vec<String>,
    /// Server name that is asked for.
    pub sni: String,
    /// Whether the server's certificate is not looked at.
    pub insecure_skip_verify: bool,
    /// File of certificates that do not count any more.
    pub ca_crl: String,
}

/// Whether TLS is spoken, and with which certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TlsMode {
    /// No.
    #[default]
    Disable,
    /// Yes, without one of ours.
    Simple,
    /// Yes, with one of ours from files.
    Mutual,
    /// Yes, with that of the mesh.
    IstioMutual,
}

/// A tunnel through a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Tunnel {
    /// How it is asked for: CONNECT or POST.
    pub protocol: String,
    /// Where it leads.
    pub target_host: String,
    /// To which port.
    pub target_port: u32,
}

/// A header that tells the client's address to the endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ProxyProtocol {
    /// Its version.
    pub version: ProxyVersion,
}

/// Version of the PROXY header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ProxyVersion {
    /// Text.
    #[default]
    V1,
    /// Binary.
    V2,
}

/// How many retries at once, as a share of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RetryBudget {
    /// Percent of requests; 20.
    pub percent: Option<f64>,
    /// Retries that are always allowed; 3.
    pub min_retry_concurrency: Option<u32>,
    /// How long requests count after they ended; 0.
    pub budget_interval: Option<Span>,
}
