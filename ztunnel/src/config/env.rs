//! Every variable the node proxy reads, with meaning and default; nothing else reads the environment.
//! Names and defaults: docs/compat.md#ztunnel-environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mesh::identity::TrustDomain;
use mesh::net::sockopt::KeepAlive;
use mesh::settings::{BadSettings, Reader, Secret, Variable};
use mesh::telemetry::log;
use mesh::xds;

use super::{
    Admin, Certificates, Config, Discovery, Doors, Limits, Node, OriginalSource, Pods, Server,
    Tunnels,
};

/// All variables, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    ("NODE_NAME", "", "Kubernetes node this proxy serves"),
    ("POD_NAME", "", "name of the proxy's own pod"),
    ("POD_NAMESPACE", "", "namespace of the proxy's own pod"),
    (
        "SERVICE_ACCOUNT",
        "",
        "service account of the proxy's own pod",
    ),
    ("INSTANCE_IP", "", "address of the proxy's own pod"),
    (
        "CLUSTER_ID",
        "Kubernetes",
        "cluster this node belongs to (or ISTIO_META_CLUSTER_ID)",
    ),
    (
        "CLUSTER_DOMAIN",
        "cluster.local",
        "domain of service host names",
    ),
    ("NETWORK", "", "network of this node's pods"),
    (
        "TRUST_DOMAIN",
        "cluster.local",
        "trust domain of the proxy itself",
    ),
    ("ISTIO_META_*", "", "metadata sent with the xDS node"),
    ("ISTIO_METAJSON_*", "", "the same, values in JSON"),
    (
        "XDS_ADDRESS",
        "https://weft-controller.weft-system.svc:15012",
        "discovery server",
    ),
    (
        "XDS_ROOT_CA",
        "./var/run/secrets/istio/root-cert.pem",
        "its root: a path or PEM text",
    ),
    (
        "ALT_XDS_HOSTNAME",
        "",
        "one more name its certificate may carry",
    ),
    ("XDS_HEADER_*", "", "extra headers of discovery calls"),
    (
        "XDS_ON_DEMAND",
        "false",
        "ask for addresses one by one, when they are dialled",
    ),
    ("CA_ADDRESS", "as XDS_ADDRESS", "certificate service"),
    (
        "CA_ROOT_CA",
        "./var/run/secrets/istio/root-cert.pem",
        "its root: a path or PEM text",
    ),
    (
        "ALT_CA_HOSTNAME",
        "",
        "one more name its certificate may carry",
    ),
    ("CA_HEADER_*", "", "extra headers of certificate calls"),
    (
        "AUTH_TOKEN",
        "./var/run/secrets/tokens/istio-token",
        "file with the service account token",
    ),
    ("SECRET_TTL", "24h", "life asked for each certificate"),
    (
        "INPOD_UDS",
        "/var/run/ztunnel/ztunnel.sock",
        "socket of the node agent",
    ),
    (
        "INPOD_PORT_REUSE",
        "true",
        "let two proxies listen during an upgrade",
    ),
    ("PACKET_MARK", "1337", "mark of the proxy's own sockets"),
    (
        "IPV6_ENABLED",
        "true",
        "listen on IPv6 where the pod has it",
    ),
    (
        "ENABLE_ORIG_SRC",
        "auto",
        "show applications their client's address: true, false, auto",
    ),
    (
        "LOCALHOST_APP_TUNNEL",
        "true",
        "call applications that take tunnels for others on the pod's loopback",
    ),
    (
        "KEEPALIVE_TIME",
        "180s",
        "silence before a TCP connection is probed",
    ),
    ("KEEPALIVE_INTERVAL", "180s", "time between probes"),
    (
        "KEEPALIVE_RETRIES",
        "9",
        "unanswered probes that end a connection",
    ),
    (
        "POOL_MAX_STREAMS_PER_CONNECTION",
        "100",
        "streams of one tunnel connection",
    ),
    (
        "POOL_UNUSED_RELEASE_TIMEOUT",
        "5m",
        "how long an unused tunnel connection is kept",
    ),
    (
        "HTTP2_STREAM_WINDOW_SIZE",
        "4194304",
        "flow control window of a stream, bytes",
    ),
    (
        "HTTP2_CONNECTION_WINDOW_SIZE",
        "16777216",
        "flow control window of a connection, bytes",
    ),
    ("HTTP2_FRAME_SIZE", "1048576", "largest HTTP/2 frame, bytes"),
    (
        "ENABLE_RESPONSE_BAGGAGE",
        "true",
        "describe the destination in answers to CONNECT",
    ),
    (
        "WEFT_HANDSHAKES_PER_POD",
        "256",
        "incomplete handshakes of one pod's callers",
    ),
    (
        "WEFT_WAITING_PER_POD",
        "256",
        "connections of one pod that wait for the controller",
    ),
    (
        "ZTUNNEL_WORKER_THREADS",
        "25 % of cores, at least 2",
        "data path threads: n or n%",
    ),
    (
        "ZTUNNEL_CPU_LIMIT",
        "",
        "cores to count with instead of the machine's",
    ),
    (
        "CONNECTION_TERMINATION_DEADLINE",
        "5s",
        "time for connections to finish at shutdown",
    ),
    (
        "TERMINATION_GRACE_PERIOD_SECONDS",
        "",
        "pod's grace period; sets the deadline when it is unset",
    ),
    ("WEFT_ADMIN_ADDRESS", "127.0.0.1:15000", "admin pages"),
    ("WEFT_STATS_ADDRESS", "[::]:15020", "metrics"),
    ("WEFT_READY_ADDRESS", "[::]:15021", "readiness"),
    ("LOG_FORMAT", "plain", "plain or json"),
    ("RUST_LOG", "info", "log filter"),
];

/// Reads all settings. `cores` is the number of processors of the machine.
///
/// # Errors
/// Every value that could not be used, at once.
pub fn read(mut reader: Reader, cores: usize) -> Result<Config, BadSettings> {
    let r = &mut reader;
    let config = Config {
        node: node(r),
        discovery: discovery(r),
        certificates: Certificates {
            server: server(r, &CA),
            lifetime: r.duration("SECRET_TTL", Duration::from_secs(24 * 3600)),
        },
        pods: Pods {
            socket: r
                .text_or("INPOD_UDS", "/var/run/ztunnel/ztunnel.sock")
                .into(),
        },
        doors: doors(r),
        tunnels: tunnels(r),
        limits: Limits {
            handshakes: r.parse("WEFT_HANDSHAKES_PER_POD", 256),
            waiting: r.parse("WEFT_WAITING_PER_POD", 256),
        },
        worker_threads: worker_threads(r, cores),
        drain_deadline: drain_deadline(r),
        admin: admin(r),
    };
    reader.finish()?;
    Ok(config)
}

fn discovery(r: &mut Reader) -> Discovery {
    Discovery::Controller {
        server: server(r, &XDS),
        on_demand: r.parse("XDS_ON_DEMAND", false),
    }
}

fn node(r: &mut Reader) -> Node {
    let trust_domain = match r.text("TRUST_DOMAIN").map(TrustDomain::parse) {
        None => TrustDomain::default(),
        Some(Ok(trust_domain)) => trust_domain,
        Some(Err(error)) => {
            r.problem("TRUST_DOMAIN", &error.to_string());
            TrustDomain::default()
        }
    };
    let cluster = r
        .text("CLUSTER_ID")
        .or_else(|| r.text("ISTIO_META_CLUSTER_ID"));
    Node {
        name: r.text_or("NODE_NAME", ""),
        pod_name: r.text_or("POD_NAME", ""),
        pod_namespace: r.text_or("POD_NAMESPACE", ""),
        service_account: r.text_or("SERVICE_ACCOUNT", ""),
        cluster: cluster.unwrap_or("Kubernetes").to_owned(),
        cluster_domain: r.text_or("CLUSTER_DOMAIN", "cluster.local"),
        network: r.text_or("NETWORK", ""),
        instance_ip: r.parse_optional("INSTANCE_IP"),
        trust_domain,
        metadata: metadata(r),
    }
}

fn metadata(r: &mut Reader) -> Vec<(String, serde_json::Value)> {
    let text = |(key, value)| (key, serde_json::Value::String(value));
    let mut metadata: Vec<_> = pairs(r, "ISTIO_META_").into_iter().map(text).collect();
    for (key, value) in pairs(r, "ISTIO_METAJSON_") {
        match serde_json::from_str(&value) {
            Ok(value) => metadata.push((key, value)),
            Err(_) => r.problem("ISTIO_METAJSON_*", "is not JSON"),
        }
    }
    metadata
}

/// The variables of one server.
struct ServerNames {
    address: &'static str,
    root: &'static str,
    alternative_hostname: &'static str,
    headers: &'static str,
}

const DEFAULT_SERVER: &str = "https://weft-controller.weft-system.svc:15012";

const XDS: ServerNames = ServerNames {
    address: "XDS_ADDRESS",
    root: "XDS_ROOT_CA",
    alternative_hostname: "ALT_XDS_HOSTNAME",
    headers: "XDS_HEADER_",
};
const CA: ServerNames = ServerNames {
    address: "CA_ADDRESS",
    root: "CA_ROOT_CA",
    alternative_hostname: "ALT_CA_HOSTNAME",
    headers: "CA_HEADER_",
};

fn server(r: &mut Reader, names: &ServerNames) -> Server {
    let text = r
        .text(names.address)
        .or_else(|| r.text(XDS.address))
        .unwrap_or(DEFAULT_SERVER);
    let address = match xds::Address::parse(text).or_else(|error| {
        r.problem(names.address, &error.to_string());
        xds::Address::parse(DEFAULT_SERVER)
    }) {
        Ok(address) => address,
        Err(_) => unreachable!("the default is an address"),
    };
    let root = r.text_or(names.root, "./var/run/secrets/istio/root-cert.pem");
    let root = xds::Root::parse(&root).unwrap_or_else(|error| {
        r.problem(names.root, &error.to_string());
        xds::Root::Inline(Vec::new())
    });
    Server {
        address,
        root,
        alternative_hostname: r.text(names.alternative_hostname).map(str::to_owned),
        headers: pairs(r, names.headers)
            .into_iter()
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        token: r
            .text_or("AUTH_TOKEN", "./var/run/secrets/tokens/istio-token")
            .into(),
    }
}

fn pairs(r: &Reader, prefix: &str) -> Vec<(String, String)> {
    r.with_prefix(prefix)
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

fn doors(r: &mut Reader) -> Doors {
    let original_source = match r.text("ENABLE_ORIG_SRC") {
        None | Some("auto") => OriginalSource::Auto,
        Some("true") => OriginalSource::Always,
        Some("false") => OriginalSource::Never,
        Some(_) => {
            r.problem("ENABLE_ORIG_SRC", "must be true, false or auto");
            OriginalSource::Auto
        }
    };
    Doors {
        outbound_port: 15001,
        plaintext_port: 15006,
        tunnel_port: 15008,
        mark: r.parse("PACKET_MARK", 1337),
        reuse_port: r.parse("INPOD_PORT_REUSE", true),
        ipv6: r.parse("IPV6_ENABLED", true),
        original_source,
        localhost_app_tunnel: r.parse("LOCALHOST_APP_TUNNEL", true),
        keep_alive: keep_alive(r),
    }
}

fn keep_alive(r: &mut Reader) -> KeepAlive {
    let default = KeepAlive::default();
    KeepAlive {
        idle: r.duration("KEEPALIVE_TIME", default.idle),
        interval: r.duration("KEEPALIVE_INTERVAL", default.interval),
        probes: r.parse("KEEPALIVE_RETRIES", default.probes),
    }
}

fn tunnels(r: &mut Reader) -> Tunnels {
    Tunnels {
        max_streams: r.parse("POOL_MAX_STREAMS_PER_CONNECTION", 100),
        unused_release: r.duration("POOL_UNUSED_RELEASE_TIMEOUT", Duration::from_secs(300)),
        stream_window: r.parse("HTTP2_STREAM_WINDOW_SIZE", 4 << 20),
        connection_window: r.parse("HTTP2_CONNECTION_WINDOW_SIZE", 16 << 20),
        frame_size: r.parse("HTTP2_FRAME_SIZE", 1 << 20),
        response_baggage: r.parse("ENABLE_RESPONSE_BAGGAGE", true),
    }
}

fn worker_threads(r: &mut Reader, cores: usize) -> usize {
    let limit: Option<usize> = r.parse_optional("ZTUNNEL_CPU_LIMIT");
    let cores = limit.unwrap_or(cores).max(1);
    let default = cores.div_ceil(4).max(2);
    let Some(text) = r.text("ZTUNNEL_WORKER_THREADS") else {
        return default;
    };
    let threads = match text.strip_suffix('%') {
        None => text.parse().ok(),
        Some(percent) => percent
            .parse::<usize>()
            .ok()
            .map(|p| (cores.saturating_mul(p) / 100).max(1)),
    };
    match threads {
        Some(threads @ 1..=1024) => threads,
        _ => {
            r.problem(
                "ZTUNNEL_WORKER_THREADS",
                "must be a number from 1 to 1024, or a percentage",
            );
            default
        }
    }
}

/// docs/compat.md#drain: grace period n above 10 s leaves n - 5 s, else n - 1 s, at least 1 s.
fn drain_deadline(r: &mut Reader) -> Duration {
    let derived = match r.parse_optional::<u64>("TERMINATION_GRACE_PERIOD_SECONDS") {
        Some(n) if n > 10 => n - 5,
        Some(n) => n.saturating_sub(1).max(1),
        None => 5,
    };
    r.duration(
        "CONNECTION_TERMINATION_DEADLINE",
        Duration::from_secs(derived),
    )
}

fn admin(r: &mut Reader) -> Admin {
    let everywhere = |port| SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15000);
    let admin: SocketAddr = r.parse("WEFT_ADMIN_ADDRESS", loopback);
    if !admin.ip().is_loopback() {
        r.problem(
            "WEFT_ADMIN_ADDRESS",
            "must be a loopback address: dumps are not for the network",
        );
    }
    let log_format = match r.text("LOG_FORMAT") {
        None | Some("plain") => log::Format::Plain,
        Some("json") => log::Format::Json,
        Some(_) => {
            r.problem("LOG_FORMAT", "must be plain or json");
            log::Format::Plain
        }
    };
    Admin {
        admin,
        stats: r.parse("WEFT_STATS_ADDRESS", everywhere(15020)),
        ready: r.parse("WEFT_READY_ADDRESS", everywhere(15021)),
        log_format,
        log_filter: r.text_or("RUST_LOG", "info"),
    }
}

#[cfg(test)]
mod tests;
