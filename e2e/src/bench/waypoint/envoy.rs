//! Envoy as a waypoint: one listener ends tunnels and hands their bytes to another one inside, which reads requests.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::papers::{Ca, identity};
use super::{SERVICE, Told};

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// Its executable, where `cargo xtask install` puts it.
///
/// # Errors
/// When it is not there.
pub(super) fn program() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let libraries = root.context("workspace")?.join("target/tools/envoy/lib");
    let found = fs::read_dir(&libraries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no Envoy below {}: run `cargo xtask install`",
            libraries.display()
        )
    })
}

/// What it is to be started with.
pub(super) fn prepare(command: &mut Command, folder: &Path, told: &Told, ca: &Ca) -> Result<()> {
    let papers = ca.issue(&identity("waypoint"))?;
    for (name, text) in [
        ("cert", &papers.chain),
        ("key", &papers.key),
        ("root", &papers.root),
    ] {
        fs::write(folder.join(name), text)?;
    }
    let file = folder.join("envoy.json");
    fs::write(&file, serde_json::to_vec(&config(folder, told))?)?;
    command
        .args(["--disable-hot-restart", "--concurrency", "1", "-l", "error"])
        .arg("--admin-address-path")
        .arg(folder.join("admin"))
        .arg("--config-path")
        .arg(&file);
    Ok(())
}

/// Where it takes tunnels, once it does: the kernel chose the port, and its admin page knows it.
pub(super) fn door(folder: &Path) -> Option<SocketAddr> {
    let admin = fs::read_to_string(folder.join("admin")).ok()?;
    let mut stream = TcpStream::connect(admin.trim()).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream
        .write_all(b"GET /listeners HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
        .ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let line = page.lines().find_map(|line| line.strip_prefix("door::"));
    line?.trim().parse().ok()
}

fn config(folder: &Path, told: &Told) -> Value {
    let [http1, http2] = told.apps;
    json!({
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": { "@type": format!("{TYPES}.bootstrap.internal_listener.v3.InternalListener") },
        }],
        "admin": { "address": address("127.0.0.1", 0) },
        "static_resources": {
            "listeners": [tunnels(folder), inside("http1", told.routes), inside("http2", told.routes)],
            "clusters": [
                inner("inner-http1", "http1"),
                inner("inner-http2", "http2"),
                application("http1", http1.port(), &json!({ "http_protocol_options": {} })),
                application("http2", http2.port(), &json!({ "http2_protocol_options": {} })),
            ],
        },
    })
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

/// Takes tunnels.
fn tunnels(folder: &Path) -> Value {
    let file = |name: &str| json!({ "filename": folder.join(name) });
    let host = |name: &str, port: u16| {
        json!({
            "name": name, "domains": [format!("{SERVICE}:{port}")],
            "routes": [{
                "match": { "connect_matcher": {} },
                "route": { "cluster": format!("inner-{name}"), "timeout": "0s",
                    "upgrade_configs": [{ "upgrade_type": "CONNECT", "connect_config": {} }] },
            }],
        })
    };
    json!({
        "name": "door",
        "address": address("127.0.0.1", 0),
        "filter_chains": [{
            "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
                "require_client_certificate": true,
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_params": { "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3" },
                    "tls_certificates": [{ "certificate_chain": file("cert"), "private_key": file("key") }],
                    "validation_context": { "trusted_ca": file("root"), "match_typed_subject_alt_names": [
                        { "san_type": "URI", "matcher": { "prefix": "spiffe://cluster.local/" } }] },
                },
            } },
            "filters": [{ "name": "tunnel", "typed_config": {
                "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "tunnel",
                "codec_type": "HTTP2",
                "http2_protocol_options": { "allow_connect": true },
                "upgrade_configs": [{ "upgrade_type": "CONNECT" }],
                "route_config": { "virtual_hosts": [host("http1", 80), host("http2", 81)] },
                "http_filters": [router()],
            } }],
        }],
    })
}

fn router() -> Value {
    json!({ "name": "router", "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") } })
}

/// Reads requests and chooses one of `count` routes.
fn inside(name: &str, count: usize) -> Value {
    let routes: Vec<Value> = (0..count)
        .map(|n| {
            json!({
                "name": format!("r{n}"),
                "match": { "path_separated_prefix": format!("/r{n}") },
                "route": { "cluster": name, "timeout": "0s", "retry_policy": {
                    "retry_on": "connect-failure,refused-stream,unavailable,cancelled", "num_retries": 2 } },
            })
        })
        .collect();
    json!({
        "name": name,
        "internal_listener": {},
        "filter_chains": [{ "filters": [{ "name": "requests", "typed_config": {
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": name,
            "codec_type": "AUTO",
            "normalize_path": true,
            "access_log": [{ "name": "line", "typed_config": {
                "@type": format!("{TYPES}.access_loggers.stream.v3.StdoutAccessLog"),
                "log_format": { "text_format_source": { "inline_string": mesh::access_log::TEXT } },
            } }],
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] },
            "http_filters": [router()],
        } }] }],
    })
}

/// The way from the door to a listener inside.
fn inner(name: &str, listener: &str) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "transport_socket": { "name": "internal", "typed_config": {
            "@type": format!("{TYPES}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"),
            "transport_socket": { "name": "raw", "typed_config": {
                "@type": format!("{TYPES}.transport_sockets.raw_buffer.v3.RawBuffer") } },
        } },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": {
            "address": { "envoy_internal_address": { "server_listener_name": listener } } } }] }] },
    })
}

fn application(name: &str, port: u16, protocol: &Value) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": { "thresholds": [{ "max_connections": 100_000, "max_requests": 100_000,
            "max_pending_requests": 100_000, "max_retries": 100_000 }] },
        "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": protocol,
        } },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": {
            "address": address("127.0.0.1", port) } }] }] },
    })
}
