//! What is logged, counted and traced of requests: Telemetry objects and MeshConfig, resolved.

use std::sync::Arc;

use super::Origin;
use super::provider::ProviderAddress;

/// Effective settings of one target: scopes are merged by the controller, not by the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Access log; `None` writes none.
    pub access_log: Option<AccessLog>,
    /// Traces; `None` makes no spans, contexts still pass.
    pub tracing: Option<Tracing>,
    /// Changes to the standard metrics, in order.
    pub metrics: Vec<MetricOverride>,
    /// The objects these settings were merged from.
    pub origins: Vec<Origin>,
}

/// How lines are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLog {
    /// Whether lines are JSON objects.
    pub json: bool,
    /// Format with `%OPERATOR%`s (text), or a JSON object of them; empty is the standard form.
    pub format: Arc<str>,
    /// CEL expression that must hold for a line to be written; empty writes all.
    pub filter: Arc<str>,
}

/// How traces are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Name of the provider.
    pub provider: Arc<str>,
    /// Where spans go, over OTLP/gRPC.
    pub collector: ProviderAddress,
    /// Whether contexts also travel in B3 headers (zipkin providers) instead of W3C ones.
    pub b3: bool,
    /// Parts of 10 000 of the traces begun here that are sampled. Istio's default is 100 (1 %).
    pub sampling: u32,
    /// Whether spans are reported at all.
    pub reports: bool,
    /// Whether trace contexts travel on to the application.
    pub propagates: bool,
    /// Whether spans carry Istio's own attributes.
    pub istio_tags: bool,
    /// Further attributes.
    pub tags: Vec<(Arc<str>, TagValue)>,
}

/// Where the value of a span's attribute is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagValue {
    /// This text.
    Literal(Arc<str>),
    /// A request header, or this default.
    Header(Arc<str>, Arc<str>),
    /// A variable of the proxy's environment, or this default.
    Environment(Arc<str>, Arc<str>),
}

/// A change to one standard metric, or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricOverride {
    /// Name without prefix, such as `requests_total`; empty for all.
    pub metric: Arc<str>,
    /// Whether it is left out.
    pub disabled: bool,
    /// Labels to set to a literal (`Some`), or to remove (`None`).
    pub labels: Vec<(Arc<str>, Option<Arc<str>>)>,
}
