//! Pure. External authorization servers: `extensionProviders` of MeshConfig with `envoyExtAuthzGrpc` or
//! `envoyExtAuthzHttp`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh::model::provider::{
    AuthorizerBody, AuthorizerProtocol, ExternalAuthorizer, ProviderAddress, ProviderHost,
};
use mesh::names::NamespacedHostname;
use objects::istio::Span;
use serde::Deserialize;

use super::Cluster;

/// How long an answer may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Status of requests that are refused without an answer.
const STATUS_ON_ERROR: u16 = 403;

/// One of `extensionProviders`, as far as it is about authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Authorizer {
    name: String,
    envoy_ext_authz_grpc: Option<Server>,
    envoy_ext_authz_http: Option<Server>,
}

/// The server and how it is asked; the fields of both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Server {
    service: String,
    port: u16,
    timeout: Option<Span>,
    fail_open: bool,
    status_on_error: Option<Status>,
    include_request_body_in_check: Option<Body>,
    path_prefix: String,
    include_request_headers_in_check: Vec<String>,
    include_headers_in_check: Vec<String>,
    include_additional_headers_in_check: BTreeMap<String, String>,
    headers_to_upstream_on_allow: Vec<String>,
    headers_to_downstream_on_deny: Vec<String>,
    headers_to_downstream_on_allow: Vec<String>,
}

/// A status as text or as a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Status {
    Number(u16),
    Text(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    max_request_bytes: u32,
    allow_partial_message: bool,
    pack_as_bytes: bool,
}

impl Authorizer {
    /// The server as waypoints know it; `None` for a provider of something else.
    pub fn read(&self, cluster: &Cluster) -> Option<ExternalAuthorizer> {
        let (server, protocol) = match (&self.envoy_ext_authz_grpc, &self.envoy_ext_authz_http) {
            (Some(server), _) => (server, AuthorizerProtocol::Grpc),
            (None, Some(server)) => (server, server.over_http()),
            (None, None) => return None,
        };
        let status = server.status_on_error.as_ref();
        let status = status.and_then(|it| match it {
            Status::Number(number) => Some(*number),
            Status::Text(text) => text.parse().ok(),
        });
        let body = server.include_request_body_in_check.as_ref();
        Some(ExternalAuthorizer {
            name: self.name.as_str().into(),
            server: ProviderAddress {
                host: host(&server.service, cluster),
                port: server.port,
            },
            protocol,
            timeout: server.timeout.map_or(TIMEOUT, |it| it.0),
            fail_open: server.fail_open,
            status_on_error: status
                .filter(|it| (200..600).contains(it))
                .unwrap_or(STATUS_ON_ERROR),
            body: body.map(|it| AuthorizerBody {
                max_bytes: it.max_request_bytes,
                allow_partial: it.allow_partial_message,
                pack_as_bytes: it.pack_as_bytes,
            }),
        })
    }
}

impl Server {
    fn over_http(&self) -> AuthorizerProtocol {
        let texts = |all: &[String]| all.iter().map(|it| it.as_str().into()).collect();
        let pairs = self.include_additional_headers_in_check.iter();
        let pair = |(name, value): (&String, &String)| -> (Arc<str>, Arc<str>) {
            (name.as_str().into(), value.as_str().into())
        };
        let forwarded = match self.include_request_headers_in_check.is_empty() {
            true => &self.include_headers_in_check,
            false => &self.include_request_headers_in_check,
        };
        AuthorizerProtocol::Http {
            path_prefix: self.path_prefix.as_str().into(),
            forwarded: texts(forwarded),
            added: pairs.map(pair).collect(),
            to_upstream: texts(&self.headers_to_upstream_on_allow),
            to_client_on_deny: texts(&self.headers_to_downstream_on_deny),
            to_client_on_allow: texts(&self.headers_to_downstream_on_allow),
        }
    }
}

/// `host`, or `namespace/host`: a service of the mesh where it is one, else a name or an address outside.
fn host(service: &str, cluster: &Cluster) -> ProviderHost {
    if let Some((namespace, host)) = service.split_once('/') {
        return ProviderHost::Service(NamespacedHostname::new(namespace, host));
    }
    if let Some((namespace, _)) = cluster.service_of(service) {
        return ProviderHost::Service(NamespacedHostname::new(namespace, service));
    }
    match service.parse() {
        Ok(address) => ProviderHost::Address(address),
        Err(_) => ProviderHost::Name(service.into()),
    }
}
