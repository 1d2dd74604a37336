//! Every variable the node proxy reads, with meaning and default; nothing else reads the environment.
//! Names and defaults: docs/compat.md#ztunnel-environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use mesh::identity::TrustDomain;
use mesh::net::sockopt::KeepAlive;
use mesh::settings::{BadSettings, Reader, Variable};
use mesh::telemetry::log;
use mesh::tls::KeyExchange;
use mesh::xds::Server;
use mesh::xds::server::{CA, XDS};

use super::{
    Admin, Certificates, Config, Discovery, Doors, Limits, Node, OriginalSource, Pods, Tunnels,
};

/// All variables, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    (
        "NODE_NAME",
        "",
        "Kubernetes node this proxy serves; required",
    ),
    ("POD_NAME", "", "name of the proxy's own pod"),
    ("POD_NAMESPACE", "", "namespace of the proxy's own pod"),
    (
        "SERVICE_ACCOUNT",
        "",
        "service account of the proxy's own pod",
    ),
    ("INSTANCE_IP", "", "address of the proxy's own pod"),
    (
        "INSTANCE_IPS",
        "as INSTANCE_IP",
        "all its addresses with commas, for the xDS node",
    ),
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
        "PREFERED_SERVICE_NAMESPACE",
        "",
        "of services with one host name, the namespace to take when neither the client's nor a canonical one decides",
    ),
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
    (
        "SECRET_TTL",
        "24h",
        "life asked for each certificate, at least 1s",
    ),
    (
        "COMPLIANCE_POLICY",
        "",
        "pqc: agree to the key exchange X25519MLKEM768 only, with peers and with the controller",
    ),
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
        "KEEPALIVE_ENABLED",
        "true",
        "probe TCP connections that are silent",
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
        "USER_TIMEOUT_ENABLED",
        "false",
        "end a connection whose bytes are not acknowledged for KEEPALIVE_TIME + KEEPALIVE_RETRIES * KEEPALIVE_INTERVAL",
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
    (
        "HTTP2_FRAME_SIZE",
        "1048576",
        "largest HTTP/2 frame, bytes: 16384 to 16777215",
    ),
    (
        "ENABLE_RESPONSE_BAGGAGE",
        "true",
        "describe the destination in answers to CONNECT",
    ),
    (
        "WEFT_HANDSHAKES_PER_POD",
        "256",
        "incomplete handshakes of one pod's callers; a quarter of them for one address",
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
        "ZTUNNEL_RESOURCE_CPU_LIMIT",
        "",
        "whole cores the pod may use: so many threads, unless ZTUNNEL_WORKER_THREADS says",
    ),
    (
        "ZTUNNEL_RESOURCE_CPU_REQUEST",
        "",
        "whole cores the pod asks for: so many threads, when it has no limit; 0 for unset",
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
    (
        "AUTHZ_POLICY_INFO_LOGGING",
        "false",
        "log what policies decide at INFO instead of DEBUG",
    ),
    ("LOG_FORMAT", "plain", "plain or json"),
    ("RUST_LOG", "info", "log filter"),
];

/// Threads of the data path, at most.
const MOST_THREADS: usize = 1024;

/// The longest duration that makes sense anywhere, ten years; points in time that are so far away can be told.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Places that one pod may have, at most: more than there are ports.
const MOST_PLACES: usize = 65_536;

/// Streams that HTTP/2 can count on one connection.
const MOST_STREAMS: usize = (1 << 31) - 1;

/// The largest flow control window (RFC 9113, 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// Sizes of frames that a peer may be told (RFC 9113, 6.5.2).
const FRAME_SIZES: RangeInclusive<u32> = 1 << 14..=(1 << 24) - 1;

/// Seconds and numbers of probes that Linux takes.
const PROBE_TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);
const PROBES: RangeInclusive<u32> = 1..=127;

/// Reads all settings. `cores` is the number of processors of the machine.
///
/// # Errors
/// Every value that could not be used, at once.
pub fn read(mut reader: Reader, cores: usize) -> Result<Config, BadSettings> {
    let r = &mut reader;
    unsupported::refuse(r);
    let config = Config {
        node: node(r),
        discovery: discovery(r),
        certificates: Certificates {
            server: Server::read(r, &CA),
            lifetime: r.duration_within(
                "SECRET_TTL",
                Duration::from_secs(24 * 3600),
                Duration::from_secs(1)..=LONGEST,
            ),
        },
        pods: Pods {
            socket: r
                .text_or("INPOD_UDS", "/var/run/ztunnel/ztunnel.sock")
                .into(),
        },
        doors: doors(r),
        tunnels: tunnels(r),
        key_exchange: key_exchange(r),
        limits: Limits {
            handshakes: r.within("WEFT_HANDSHAKES_PER_POD", 256, 1..=MOST_PLACES),
            waiting: r.within("WEFT_WAITING_PER_POD", 256, 1..=MOST_PLACES),
        },
        worker_threads: worker_threads(r, cores),
        drain_deadline: drain_deadline(r),
        shows_decisions: r.parse("AUTHZ_POLICY_INFO_LOGGING", false),
        admin: admin(r),
    };
    reader.finish()?;
    Ok(config)
}

fn discovery(r: &mut Reader) -> Discovery {
    Discovery::Controller {
        server: Server::read(r, &XDS),
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
        .or_else(|| r.text("ISTIO_META_CLUSTER_ID"))
        .unwrap_or("Kubernetes")
        .to_owned();
    Node {
        name: r.required("NODE_NAME"),
        pod_name: r.text_or("POD_NAME", ""),
        pod_namespace: r.text_or("POD_NAMESPACE", ""),
        service_account: r.text_or("SERVICE_ACCOUNT", ""),
        cluster,
        cluster_domain: r.text_or("CLUSTER_DOMAIN", "cluster.local"),
        network: r.text_or("NETWORK", ""),
        preferred_namespace: r.text_or("PREFERED_SERVICE_NAMESPACE", ""),
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
    if let Some(addresses) = instance_ips(r) {
        metadata.push(("INSTANCE_IPS".to_owned(), addresses.into()));
    }
    metadata
}

fn instance_ips(r: &mut Reader) -> Option<String> {
    let text = r.text("INSTANCE_IPS")?.to_owned();
    if text.split(',').any(|ip| ip.parse::<IpAddr>().is_err()) {
        r.problem("INSTANCE_IPS", "must be addresses with commas between them");
    }
    Some(text)
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
        mark: r.within("PACKET_MARK", 1337, 1..=u32::MAX),
        reuse_port: r.parse("INPOD_PORT_REUSE", true),
        ipv6: r.parse("IPV6_ENABLED", true),
        original_source,
        localhost_app_tunnel: r.parse("LOCALHOST_APP_TUNNEL", true),
        keep_alive: keep_alive(r),
    }
}

fn keep_alive(r: &mut Reader) -> KeepAlive {
    let default = KeepAlive::default();
    let mut seconds = |name, default| r.duration_within(name, default, PROBE_TIMES);
    let (idle, interval) = (
        seconds("KEEPALIVE_TIME", default.idle),
        seconds("KEEPALIVE_INTERVAL", default.interval),
    );
    let probes = r.within("KEEPALIVE_RETRIES", default.probes, PROBES);
    let has_user_timeout = r.parse("USER_TIMEOUT_ENABLED", false);
    KeepAlive {
        is_probed: r.parse("KEEPALIVE_ENABLED", true),
        idle,
        interval,
        probes,
        user_timeout: has_user_timeout.then(|| idle + interval.saturating_mul(probes)),
    }
}

fn tunnels(r: &mut Reader) -> Tunnels {
    let mut window = |name, default| r.within(name, default, 1..=LARGEST_WINDOW);
    let stream_window = window("HTTP2_STREAM_WINDOW_SIZE", 4 << 20);
    let connection_window = window("HTTP2_CONNECTION_WINDOW_SIZE", 16 << 20);
    Tunnels {
        max_streams: r.within("POOL_MAX_STREAMS_PER_CONNECTION", 100, 1..=MOST_STREAMS),
        unused_release: r.duration_within(
            "POOL_UNUSED_RELEASE_TIMEOUT",
            Duration::from_secs(300),
            Duration::ZERO..=LONGEST,
        ),
        stream_window,
        connection_window,
        frame_size: r.within("HTTP2_FRAME_SIZE", 1 << 20, FRAME_SIZES),
        response_baggage: r.parse("ENABLE_RESPONSE_BAGGAGE", true),
    }
}

fn key_exchange(r: &mut Reader) -> KeyExchange {
    match r.text("COMPLIANCE_POLICY") {
        None => KeyExchange::Preferred,
        Some("pqc") => KeyExchange::PostQuantumOnly,
        Some(_) => {
            r.problem("COMPLIANCE_POLICY", "must be empty or pqc");
            KeyExchange::Preferred
        }
    }
}

fn worker_threads(r: &mut Reader, cores: usize) -> usize {
    let mut counted = |name| Some(r.within(name, 0, 0..=MOST_THREADS)).filter(|it| *it > 0);
    let cores = counted("ZTUNNEL_CPU_LIMIT").unwrap_or(cores).max(1);
    // Of what the pod's resources say the limit counts more.
    let limit = counted("ZTUNNEL_RESOURCE_CPU_LIMIT");
    let request = counted("ZTUNNEL_RESOURCE_CPU_REQUEST");
    let default = limit.or(request).unwrap_or(cores.div_ceil(4).max(2));
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
        Some(threads @ 1..=MOST_THREADS) => threads,
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
    // The default leaves 5 s, as the contract does without a grace period.
    let derived = match r.within("TERMINATION_GRACE_PERIOD_SECONDS", 6, 0..=LONGEST.as_secs()) {
        n if n > 10 => n - 5,
        n => n.saturating_sub(1).max(1),
    };
    r.duration_within(
        "CONNECTION_TERMINATION_DEADLINE",
        Duration::from_secs(derived),
        Duration::ZERO..=LONGEST,
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

mod unsupported;

#[cfg(test)]
mod tests;
