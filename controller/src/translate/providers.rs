//! Pure. Servers that MeshConfig names under `extensionProviders`. Source: docs/compat.md#mesh-config.

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

/// How long an authorization server may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Answer to requests while an authorization server cannot be asked, where nothing is said.
const STATUS_ON_ERROR: u16 = 403;

/// One entry as it is written. Kinds that are not named here are reported as not honoured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Written {
    /// What policies call it.
    pub name: String,
    /// Asked over gRPC.
    pub envoy_ext_authz_grpc: Option<Grpc>,
    /// Asked over HTTP.
    pub envoy_ext_authz_http: Option<Http>,
}

/// Fields of `envoyExtAuthzGrpc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Grpc {
    service: String,
    port: u32,
    timeout: Option<Span>,
    fail_open: bool,
    status_on_error: String,
    include_request_body_in_check: Option<Body>,
}

/// Fields of `envoyExtAuthzHttp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Http {
    service: String,
    port: u32,
    timeout: Option<Span>,
    path_prefix: String,
    fail_open: bool,
    status_on_error: String,
    #[serde(alias = "includeHeadersInCheck")]
    include_request_headers_in_check: Vec<String>,
    include_additional_headers_in_check: BTreeMap<String, String>,
    include_request_body_in_check: Option<Body>,
    headers_to_upstream_on_allow: Vec<String>,
    headers_to_downstream_on_deny: Vec<String>,
    headers_to_downstream_on_allow: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    max_request_bytes: u32,
    allow_partial_message: bool,
    pack_as_bytes: bool,
}

/// The parts that both kinds have.
struct Common<'a> {
    server: (&'a str, u32),
    timeout: Option<Span>,
    fail_open: bool,
    status_on_error: &'a str,
    body: Option<Body>,
}

/// What a host of the mesh is, when no namespace is written before it.
pub type FindService<'a> = &'a dyn Fn(&str) -> Option<NamespacedHostname>;

/// Why an entry has no effect: policies that name it refuse what they match.
pub fn faults(written: &[Written]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, entry) in written.iter().enumerate() {
        let at = format!("extensionProviders[{index}] ({:?})", entry.name);
        if entry.name.is_empty() {
            faults.push(format!("{at} has no name"));
        }
        if written.iter().take(index).any(|it| it.name == entry.name) {
            faults.push(format!("{at} has the name of another, which stands"));
        }
        if let Err(fault) = authorizer(entry, &|_| None) {
            faults.push(format!("{at}: {fault}"));
        }
    }
    faults
}

/// The authorization servers among them, as far as they can be used.
pub fn authorizers(
    written: &[Written],
    cluster: &Cluster,
    elsewhere: FindService<'_>,
) -> Vec<ExternalAuthorizer> {
    let in_cluster = |host: &str| {
        let (namespace, _) = cluster.service_of(host)?;
        Some(NamespacedHostname::new(namespace, host))
    };
    let service = |host: &str| in_cluster(host).or_else(|| elsewhere(host));
    let mut found: Vec<ExternalAuthorizer> = Vec::new();
    for entry in written {
        let is_new = !entry.name.is_empty() && found.iter().all(|it| *it.name != *entry.name);
        let made = authorizer(entry, &service).ok().flatten();
        found.extend(made.filter(|_| is_new));
    }
    found
}

/// Whether an entry names this host.
pub fn name_host(written: &[Written], host: &str) -> bool {
    let services = written.iter().flat_map(|it| {
        let grpc = it.envoy_ext_authz_grpc.as_ref().map(|it| &it.service);
        let http = it.envoy_ext_authz_http.as_ref().map(|it| &it.service);
        [grpc, http].into_iter().flatten()
    });
    services.into_iter().any(|it| it == host)
}

fn authorizer(
    written: &Written,
    service: FindService<'_>,
) -> Result<Option<ExternalAuthorizer>, String> {
    let (common, protocol) = match (&written.envoy_ext_authz_grpc, &written.envoy_ext_authz_http) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("it is of two kinds at once".to_owned()),
        (Some(grpc), None) => (grpc.common(), AuthorizerProtocol::Grpc),
        (None, Some(http)) => (http.common(), http.protocol()),
    };
    let status_on_error = match common.status_on_error {
        "" => STATUS_ON_ERROR,
        text => match text.parse() {
            Ok(status @ 200..=599) => status,
            _ => return Err(format!("statusOnError {text:?} is not a status")),
        },
    };
    let (host, port) = common.server;
    let port = match u16::try_from(port) {
        Ok(port) if port > 0 => port,
        _ => return Err(format!("port {port} is not between 1 and 65535")),
    };
    Ok(Some(ExternalAuthorizer {
        name: written.name.as_str().into(),
        server: ProviderAddress {
            host: server(host, service)?,
            port,
        },
        protocol,
        timeout: common.timeout.map_or(TIMEOUT, |it| it.0),
        fail_open: common.fail_open,
        status_on_error,
        body: common.body.map(|it| AuthorizerBody {
            max_bytes: it.max_request_bytes,
            allow_partial: it.allow_partial_message,
            pack_as_bytes: it.pack_as_bytes,
        }),
    }))
}

/// Where a server is: `namespace/host`, a host of the mesh, or a name or an address outside.
fn server(text: &str, service: FindService<'_>) -> Result<ProviderHost, String> {
    if text.is_empty() {
        return Err("service is missing".to_owned());
    }
    if text.contains('/') {
        let key = NamespacedHostname::parse(text);
        let key = key.ok_or_else(|| format!("service {text:?} is not namespace/host"))?;
        return Ok(ProviderHost::Service(key));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(ProviderHost::Address(address.to_canonical()));
    }
    let known = service(text).map(ProviderHost::Service);
    Ok(known.unwrap_or_else(|| ProviderHost::Name(text.into())))
}

impl Grpc {
    fn common(&self) -> Common<'_> {
        Common {
            server: (&self.service, self.port),
            timeout: self.timeout,
            fail_open: self.fail_open,
            status_on_error: &self.status_on_error,
            body: self.include_request_body_in_check,
        }
    }
}

impl Http {
    fn common(&self) -> Common<'_> {
        Common {
            server: (&self.service, self.port),
            timeout: self.timeout,
            fail_open: self.fail_open,
            status_on_error: &self.status_on_error,
            body: self.include_request_body_in_check,
        }
    }

    fn protocol(&self) -> AuthorizerProtocol {
        let texts = |list: &[String]| list.iter().map(|it| Arc::from(it.as_str())).collect();
        let added = self.include_additional_headers_in_check.iter();
        AuthorizerProtocol::Http {
            path_prefix: self.path_prefix.as_str().into(),
            forwarded: texts(&self.include_request_headers_in_check),
            added: added
                .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
                .collect(),
            to_upstream: texts(&self.headers_to_upstream_on_allow),
            to_client_on_deny: texts(&self.headers_to_downstream_on_deny),
            to_client_on_allow: texts(&self.headers_to_downstream_on_allow),
        }
    }
}
