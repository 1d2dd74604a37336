//! Pure. The labels of requests and connections: names, order, and what stands for an empty value.
//! Source: docs/compat.md#request-metrics.

use std::borrow::Cow;
use std::sync::Arc;

pub use crate::observe::record::{Flags, Party, Served};

use super::REPORTER;
use super::rules::MetricRules;

/// Names and values in order.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Who talks to whom: what a request's or a connection's labels have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Who asked.
    pub source: Arc<Party>,
    /// Who answered.
    pub destination: Arc<Party>,
    /// The service that was asked.
    pub service: Arc<Served>,
    /// Changes that the user asked for; `None` for none, so that equal labels compare equal.
    pub rules: Option<Arc<MetricRules>>,
}

/// What a request adds to [`Labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// Whether it is gRPC.
    pub is_grpc: bool,
    /// Status.
    pub status: u16,
    /// gRPC status, when it is gRPC and one was said.
    pub grpc_status: Option<u16>,
    /// Flags.
    pub flags: Flags,
}

/// Highest gRPC status there is.
const GRPC_STATUSES: u16 = 16;

impl Labels {
    /// Labels of a request, in the contract's order.
    pub fn of_request(&self, outcome: &Outcome) -> Pairs<'_> {
        let protocol = if outcome.is_grpc { "grpc" } else { "http" };
        let grpc_status = match outcome.grpc_status {
            Some(status) if outcome.is_grpc && status <= GRPC_STATUSES => status.to_string().into(),
            // A number that gRPC does not have is the server's choice; there must not be many.
            Some(_) if outcome.is_grpc => "unknown".into(),
            _ => "".into(),
        };
        let mut pairs = self.common();
        pairs.push(pair("request_protocol", protocol));
        pairs.push(("response_code".into(), outcome.status.to_string().into()));
        pairs.push(("grpc_response_status".into(), grpc_status));
        pairs.push(("response_flags".into(), outcome.flags.to_string().into()));
        pairs.push(pair("connection_security_policy", self.policy()));
        pairs
    }

    /// Labels of a connection, in the contract's order.
    pub fn of_connection(&self, flags: Flags) -> Pairs<'_> {
        let mut pairs = self.common();
        pairs.push(pair("request_protocol", "tcp"));
        pairs.push(("response_flags".into(), flags.to_string().into()));
        pairs.push(pair("connection_security_policy", self.policy()));
        pairs
    }

    /// What a client that proved who it is came through is mutual TLS.
    fn policy(&self) -> &'static str {
        match self.source.principal.is_empty() {
            true => "none",
            false => "mutual_tls",
        }
    }

    fn common(&self) -> Pairs<'_> {
        let (source, destination, service) = (&*self.source, &*self.destination, &*self.service);
        let mut pairs = Vec::with_capacity(25);
        pairs.push(pair("reporter", REPORTER));
        for (name, value) in [
            ("source_workload", &source.workload),
            ("source_canonical_service", &source.canonical_service),
            ("source_canonical_revision", &source.canonical_revision),
            ("source_workload_namespace", &source.namespace),
            ("source_principal", &source.principal),
            ("source_app", &source.app),
            ("source_version", &source.version),
            ("source_cluster", &source.cluster),
            ("destination_workload", &destination.workload),
            ("destination_workload_namespace", &destination.namespace),
            ("destination_principal", &destination.principal),
            ("destination_app", &destination.app),
            ("destination_version", &destination.version),
            ("destination_service", &service.hostname),
            (
                "destination_canonical_service",
                &destination.canonical_service,
            ),
            (
                "destination_canonical_revision",
                &destination.canonical_revision,
            ),
            ("destination_service_name", &service.name),
            ("destination_service_namespace", &service.namespace),
            ("destination_cluster", &destination.cluster),
        ] {
            pairs.push(pair(name, known(value)));
        }
        pairs
    }
}

fn pair<'a>(name: &'a str, value: &'a str) -> (Cow<'a, str>, Cow<'a, str>) {
    (name.into(), value.into())
}

fn known(value: &str) -> &str {
    match value {
        "" => "unknown",
        value => value,
    }
}
