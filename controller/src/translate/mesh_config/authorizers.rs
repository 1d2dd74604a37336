//! Pure. External authorization servers: `extensionProviders` of MeshConfig with `envoyExtAuthzGrpc` or
//! `envoyExtAuthzHttp`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::model::provider::{
    AuthorizerBody, AuthorizerProtocol, ExternalAuthorizer, ProviderAddress, ProviderHost,
};
use mesh::names::NamespacedHostname;
use objects::istio::Span;
use serde::Deserialize;

use super::Cluster;
use crate::translate::telemetry::observing::{Collector, FileLog, Kinds, Nothing};

/// How long an answer may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Status of requests that are refused without an answer.
const STATUS_ON_ERROR: u16 = 403;

/// One of `extensionProviders`, as far as it is about authorization, logs, metrics or traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Authorizer {
    name: String,
    envoy_ext_authz_grpc: Option<Server>,
    envoy_ext_authz_http: Option<Server>,
    opentelemetry: Option<Collector>,
    zipkin: Option<Collector>,
    envoy_file_access_log: Option<FileLog>,
    prometheus: Option<Nothing>,
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

/// The namespace of a host that is a service of the cluster.
type Namespace<'a> = &'a dyn Fn(&str) -> Option<String>;

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
    /// Its name, and what it is to logs, metrics and traces.
    pub fn observer(&self) -> (&str, Kinds) {
        let kinds = Kinds {
            opentelemetry: self.opentelemetry.clone(),
            zipkin: self.zipkin.clone(),
            envoy_file_access_log: self.envoy_file_access_log.clone(),
            prometheus: self.prometheus,
        };
        (&self.name, kinds)
    }

    /// The server as waypoints know it; `None` for a provider of something else, or one that cannot be used.
    fn read(&self, cluster: &Cluster) -> Option<ExternalAuthorizer> {
        let namespace = |host: &str| Some(cluster.service_of(host)?.0.to_owned());
        self.checked(&namespace).ok().flatten()
    }

    /// `namespace` is that of a host that is a service of the cluster.
    fn checked(&self, namespace: Namespace<'_>) -> Result<Option<ExternalAuthorizer>, String> {
        let (server, protocol) = match (&self.envoy_ext_authz_grpc, &self.envoy_ext_authz_http) {
            (Some(_), Some(_)) => return Err("it is of two kinds at once".to_owned()),
            (Some(server), None) => (server, AuthorizerProtocol::Grpc),
            (None, Some(server)) => (server, server.over_http()),
            (None, None) => return Ok(None),
        };
        if server.port == 0 {
            return Err("port 0 is not one".to_owned());
        }
        let body = server.include_request_body_in_check.as_ref();
        Ok(Some(ExternalAuthorizer {
            name: self.name.as_str().into(),
            server: ProviderAddress {
                host: host(&server.service, namespace)?,
                port: server.port,
            },
            protocol,
            timeout: server.timeout.map_or(TIMEOUT, |it| it.0),
            fail_open: server.fail_open,
            status_on_error: server.status()?,
            body: body.map(|it| AuthorizerBody {
                max_bytes: it.max_request_bytes,
                allow_partial: it.allow_partial_message,
                pack_as_bytes: it.pack_as_bytes,
            }),
        }))
    }
}

/// The servers among them, each name once.
pub fn read(written: &[Authorizer], cluster: &Cluster) -> Arc<[ExternalAuthorizer]> {
    let mut found: Vec<ExternalAuthorizer> = Vec::new();
    for made in written.iter().filter_map(|it| it.read(cluster)) {
        if !made.name.is_empty() && found.iter().all(|it| it.name != made.name) {
            found.push(made);
        }
    }
    found.into()
}

/// Why some of them have no effect: policies that name such a one refuse what they match.
pub(super) fn faults(written: &[Authorizer]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, entry) in written.iter().enumerate() {
        let at = format!("extensionProviders[{index}] ({:?})", entry.name);
        if entry.name.is_empty() {
            faults.push(format!("{at} has no name"));
        }
        if written.iter().take(index).any(|it| it.name == entry.name) {
            faults.push(format!("{at} has the name of another, which stands"));
        }
        if let Err(fault) = entry.checked(&|_| None) {
            faults.push(format!("{at}: {fault}"));
        }
    }
    faults
}

impl Server {
    fn status(&self) -> Result<u16, String> {
        let (status, text) = match &self.status_on_error {
            None => return Ok(STATUS_ON_ERROR),
            Some(Status::Number(number)) => (Some(*number), number.to_string()),
            Some(Status::Text(text)) if text.is_empty() => return Ok(STATUS_ON_ERROR),
            Some(Status::Text(text)) => (text.parse().ok(), text.clone()),
        };
        let status = status.filter(|it| (200..600).contains(it));
        status.ok_or_else(|| format!("statusOnError {text:?} is not a status"))
    }

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
fn host(service: &str, namespace: Namespace<'_>) -> Result<ProviderHost, String> {
    if service.is_empty() {
        return Err("service is missing".to_owned());
    }
    if service.contains('/') {
        let key = NamespacedHostname::parse(service).map(ProviderHost::Service);
        return key.ok_or_else(|| format!("service {service:?} is not namespace/host"));
    }
    if let Some(namespace) = namespace(service) {
        let key = NamespacedHostname::new(namespace, service);
        return Ok(ProviderHost::Service(key));
    }
    Ok(match service.parse::<IpAddr>() {
        Ok(address) => ProviderHost::Address(address.to_canonical()),
        Err(_) => ProviderHost::Name(service.into()),
    })
}
