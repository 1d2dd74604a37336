//! Every variable the waypoint reads, with meaning and default; nothing else reads the environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mesh::identity::TrustDomain;
use mesh::model::Locality;
use mesh::net::sockopt::KeepAlive;
use mesh::settings::{BadSettings, Reader, Variable};
use mesh::telemetry::log;
use mesh::xds::Server;
use mesh::xds::server::{CA, XDS};

use super::{Admin, Config, Node, Requests};

/// All variables, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    (
        "GATEWAY_NAME",
        "",
        "Gateway this waypoint runs for; required",
    ),
    ("POD_NAME", "", "its pod; required"),
    (
        "POD_NAMESPACE",
        "",
        "its namespace, the Gateway's; required",
    ),
    ("SERVICE_ACCOUNT", "as GATEWAY_NAME", "its service account"),
    ("NODE_NAME", "", "its Kubernetes node"),
    ("INSTANCE_IP", "", "its address"),
    (
        "CLUSTER_ID",
        "Kubernetes",
        "its cluster (or ISTIO_META_CLUSTER_ID)",
    ),
    (
        "CLUSTER_DOMAIN",
        "cluster.local",
        "domain of service host names",
    ),
    ("NETWORK", "", "its network"),
    (
        "TRUST_DOMAIN",
        "cluster.local",
        "trust domain of its identity",
    ),
    ("LOCALITY", "", "region/zone/subzone it runs in"),
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
    ("CA_ADDRESS", "as XDS_ADDRESS", "certificate service"),
    (
        "CA_ROOT_CA",
        "./var/run/secrets/istio/root-cert.pem",
        "its root: a path",
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
        "WEFT_TUNNEL_ADDRESS",
        "[::]:15008",
        "where tunnels are taken",
    ),
    (
        "WEFT_REQUEST_HEAD_BYTES",
        "61440",
        "longest head of a request, bytes; longer ones are answered with 431",
    ),
    (
        "WEFT_REQUEST_HEADERS",
        "100",
        "header lines of a request; more are answered with 431",
    ),
    (
        "WEFT_REQUEST_HEAD_DEADLINE",
        "60s",
        "time for the head of an HTTP/1 request",
    ),
    (
        "WEFT_RESPONSE_HEAD_BYTES",
        "81920",
        "longest head of a response, bytes; longer ones are answered with 502",
    ),
    (
        "WEFT_REQUEST_STREAMS",
        "100",
        "HTTP/2 requests at once on one connection inside of a tunnel",
    ),
    (
        "WEFT_REPLAY_BYTES",
        "1048576",
        "bytes of a body that are kept to try again",
    ),
    (
        "WEFT_IDLE_TIMEOUT",
        "1h",
        "connections without requests are closed after this long",
    ),
    (
        "WEFT_WORKER_THREADS",
        "cores, at most 2",
        "data path threads",
    ),
    (
        "WEFT_DRAIN_DEADLINE",
        "45s",
        "time for requests to finish at shutdown",
    ),
    ("WEFT_ADMIN_ADDRESS", "127.0.0.1:15000", "admin pages"),
    ("WEFT_STATS_ADDRESS", "[::]:15020", "metrics"),
    ("WEFT_READY_ADDRESS", "[::]:15021", "readiness"),
    ("LOG_FORMAT", "plain", "plain or json"),
    ("RUST_LOG", "info", "log filter"),
];

/// Threads of the data path, at most.
const MOST_THREADS: usize = 1024;
/// The longest duration that makes sense anywhere, ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Reads all settings. `cores` is the number of processors of the machine.
///
/// # Errors
/// Every value that could not be used, at once.
pub fn read(mut reader: Reader, cores: usize) -> Result<Config, BadSettings> {
    let r = &mut reader;
    let everywhere = |port| SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    let second = Duration::from_secs(1);
    let config = Config {
        node: node(r),
        discovery: Server::read(r, &XDS),
        authority: Server::read(r, &CA),
        certificate_life: r.duration_within(
            "SECRET_TTL",
            Duration::from_secs(24 * 3600),
            second..=LONGEST,
        ),
        door: r.parse("WEFT_TUNNEL_ADDRESS", everywhere(15008)),
        keep_alive: KeepAlive::default(),
        requests: Requests {
            head_bytes: r.within("WEFT_REQUEST_HEAD_BYTES", 60 << 10, 8 << 10..=1 << 20),
            header_count: r.within("WEFT_REQUEST_HEADERS", 100, 1..=10_000),
            head_deadline: r.duration_within(
                "WEFT_REQUEST_HEAD_DEADLINE",
                Duration::from_secs(60),
                second..=LONGEST,
            ),
            response_head_bytes: r.within("WEFT_RESPONSE_HEAD_BYTES", 80 << 10, 8 << 10..=1 << 20),
            streams: r.within("WEFT_REQUEST_STREAMS", 100, 1..=1 << 20),
            replay_bytes: r.within("WEFT_REPLAY_BYTES", 1 << 20, 0..=1 << 30),
            idle: r.duration_within(
                "WEFT_IDLE_TIMEOUT",
                Duration::from_secs(3600),
                second..=LONGEST,
            ),
        },
        worker_threads: r.within("WEFT_WORKER_THREADS", cores.clamp(1, 2), 1..=MOST_THREADS),
        drain_deadline: r.duration_within(
            "WEFT_DRAIN_DEADLINE",
            Duration::from_secs(45),
            Duration::ZERO..=LONGEST,
        ),
        admin: admin(r),
    };
    reader.finish()?;
    Ok(config)
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
    let gateway = r.required("GATEWAY_NAME");
    let place = r.text_or("LOCALITY", "");
    let mut parts = place.splitn(3, '/').map(Into::into);
    let mut part = || parts.next().unwrap_or_default();
    Node {
        name: r.text_or("NODE_NAME", ""),
        pod_name: r.required("POD_NAME"),
        namespace: r.required("POD_NAMESPACE"),
        service_account: r.text_or("SERVICE_ACCOUNT", &gateway),
        gateway,
        instance_ip: r.parse_optional("INSTANCE_IP"),
        cluster,
        cluster_domain: r.text_or("CLUSTER_DOMAIN", "cluster.local"),
        network: r.text_or("NETWORK", ""),
        trust_domain,
        locality: Locality {
            region: part(),
            zone: part(),
            subzone: part(),
        },
    }
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
