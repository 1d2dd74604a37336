//! Every variable of this program: name, meaning, default.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use mesh::names::NamespacedName;
use mesh::settings::{BadSettings, Reader, Variable};
use mesh::telemetry::log::Format;
use objects::api::Access;
use objects::istio::Subnet;
use rustls::pki_types::DnsName;

use super::{Config, Files, Listen, Log, Objects, Tokens};
use crate::ca::authenticate::Expected;
use crate::ca::sign::Lives;
use crate::index::allocator::Prefixes;
use crate::{ca, deploy, index};

/// All variables, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    (
        "WEFT_SOURCE",
        "directory",
        "where the objects are: directory, in-cluster (the API server of the cluster this runs in) or kubeconfig (the one that KUBECONFIG leads to)",
    ),
    (
        "WEFT_OBJECTS_DIR",
        "",
        "directory of the objects' YAML files; required with WEFT_SOURCE=directory",
    ),
    (
        "KUBECONFIG",
        "",
        "configuration file of kubectl, its current context counts; required with WEFT_SOURCE=kubeconfig",
    ),
    (
        "POD_NAME",
        "weft-controller",
        "name of this replica in the election of the one that writes statuses; a random ending keeps processes of one name apart",
    ),
    (
        "WEFT_STATE_DIR",
        "",
        "directory in which the signing root is kept; required",
    ),
    (
        "WEFT_CA_DIR",
        "",
        "directory of a plugged-in signing certificate: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem; or tls.crt, tls.key, ca.crt; followed when they are replaced",
    ),
    (
        "WEFT_JWKS",
        "",
        "JSON key set of the token issuer, a file that is read again when it changes; required with WEFT_SOURCE=directory, elsewhere the API server reviews tokens unless it is set",
    ),
    (
        "WEFT_TOKEN_ISSUER",
        "",
        "issuer of service account tokens; required with WEFT_JWKS",
    ),
    (
        "TOKEN_AUDIENCES",
        "istio-ca",
        "accepted audiences of tokens, comma separated; one at least",
    ),
    (
        "WEFT_GRPC_ADDRESS",
        "[::]:15012",
        "address of discovery and certificates, TLS",
    ),
    (
        "WEFT_ADMIN_ADDRESS",
        "127.0.0.1:15014",
        "admin pages, a loopback address",
    ),
    (
        "WEFT_SERVER_NAMES",
        "",
        "further DNS names of the server's certificate, comma separated",
    ),
    ("CLUSTER_ID", "Kubernetes", "id of the cluster"),
    (
        "CLUSTER_DOMAIN",
        "cluster.local",
        "domain of service host names",
    ),
    ("POD_NAMESPACE", "weft-system", "the system namespace"),
    (
        "WEFT_WAYPOINT_IMAGE",
        "weft.dev/waypoint",
        "image of the waypoints that Gateways ask for",
    ),
    (
        "WEFT_WAYPOINT_CONTROLLER_ADDRESS",
        "https://weft-controller.<POD_NAMESPACE>.svc:15012",
        "where those waypoints find discovery and certificates",
    ),
    (
        "WEFT_ROOT_CONFIG_MAP",
        "istio-ca-root-cert",
        "ConfigMap of every namespace that holds the roots to trust",
    ),
    (
        "PILOT_IP_AUTOALLOCATE_IPV4_PREFIX",
        "240.240.0.0/16",
        "range of the IPv4 addresses that are given to hosts of service entries",
    ),
    (
        "PILOT_IP_AUTOALLOCATE_IPV6_PREFIX",
        "2001:2::/48",
        "range of the IPv6 addresses that are given to hosts of service entries",
    ),
    (
        "CA_TRUSTED_NODE_ACCOUNTS",
        "<POD_NAMESPACE>/ztunnel",
        "service accounts that may ask for the identities of pods on their node, comma separated namespace/name",
    ),
    (
        "DEFAULT_WORKLOAD_CERT_TTL",
        "24h",
        "life of a certificate when the request does not say",
    ),
    (
        "MAX_WORKLOAD_CERT_TTL",
        "2160h",
        "longest life of a certificate; longer wishes are refused",
    ),
    (
        "WEFT_CA_RATE",
        "100",
        "certificate requests per second of one caller",
    ),
    (
        "WEFT_CA_BURST",
        "1000",
        "certificate requests of one caller at once",
    ),
    (
        "WEFT_CA_PATIENCE",
        "1s",
        "how long a certificate request waits for news of a pod that is not known yet",
    ),
    (
        "RUST_LOG",
        "info,kube_client=off",
        "log filter; the API server's library says again what the controller says, each time",
    ),
    ("LOG_FORMAT", "plain", "log format, plain or json"),
];

/// Lives of certificates that make sense: up to ten years.
const LIVES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(10 * 365 * 24 * 3600);

/// Requests of one caller: a rate of none would be no service, and one above a million no limit.
const REQUESTS: RangeInclusive<u32> = 1..=1_000_000;

/// No request waits longer for news of a pod.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// Reads every variable.
///
/// # Errors
/// All bad values at once.
pub fn read(mut reader: Reader) -> Result<Config, BadSettings> {
    let system = reader.text_or("POD_NAMESPACE", "weft-system");
    let domain = reader.text_or("CLUSTER_DOMAIN", "cluster.local");
    let config = Config {
        listen: listen(&mut reader),
        objects: objects(&mut reader),
        files: Files {
            state: PathBuf::from(reader.required("WEFT_STATE_DIR")),
            plugged_in: reader.text("WEFT_CA_DIR").map(PathBuf::from),
        },
        tokens: tokens(&mut reader),
        authority: authority(&mut reader, &system),
        server_names: server_names(&mut reader, &system, &domain),
        deployment: deployment(&mut reader, &system, &domain),
        cluster: index::Settings {
            cluster: reader.text_or("CLUSTER_ID", "Kubernetes").into(),
            domain: domain.into(),
            system_namespace: system.into(),
            prefixes: prefixes(&mut reader),
        },
        log: log(&mut reader),
    };
    reader.finish().map(|()| config)
}

fn objects(reader: &mut Reader) -> Objects {
    let access = match reader.text_or("WEFT_SOURCE", "directory").as_str() {
        "directory" => {
            return Objects::Directory(PathBuf::from(reader.required("WEFT_OBJECTS_DIR")));
        }
        "in-cluster" => Access::InCluster,
        "kubeconfig" => Access::Kubeconfig(PathBuf::from(reader.required("KUBECONFIG"))),
        _ => {
            let problem = "must be directory, in-cluster or kubeconfig";
            reader.problem("WEFT_SOURCE", problem);
            Access::InCluster
        }
    };
    let name = reader.text_or("POD_NAME", "weft-controller");
    let me = format!("{name}_{:016x}", rand::random::<u64>());
    Objects::ApiServer { access, me }
}

fn tokens(reader: &mut Reader) -> Tokens {
    let audiences = audiences(reader);
    let is_directory = reader.text_or("WEFT_SOURCE", "directory") == "directory";
    if !is_directory && reader.text("WEFT_JWKS").is_none() {
        return Tokens::Review(audiences);
    }
    Tokens::Keys {
        jwks: PathBuf::from(reader.required("WEFT_JWKS")),
        expected: Expected {
            issuer: reader.required("WEFT_TOKEN_ISSUER"),
            audiences,
        },
    }
}

fn listen(reader: &mut Reader) -> Listen {
    let grpc = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 15012));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 15014));
    let listen = Listen {
        grpc: reader.parse("WEFT_GRPC_ADDRESS", grpc),
        admin: reader.parse("WEFT_ADMIN_ADDRESS", admin),
    };
    if !listen.admin.ip().is_loopback() {
        reader.problem(
            "WEFT_ADMIN_ADDRESS",
            "must be a loopback address: dumps and the log level are not for the network",
        );
    }
    listen
}

fn audiences(reader: &mut Reader) -> Vec<String> {
    let audiences = list(&reader.text_or("TOKEN_AUDIENCES", "istio-ca"));
    if audiences.is_empty() {
        reader.problem(
            "TOKEN_AUDIENCES",
            "must name one audience at least: without any, no token is accepted",
        );
    }
    audiences
}

fn authority(reader: &mut Reader, system: &str) -> ca::Settings {
    let accounts = reader.text_or("CA_TRUSTED_NODE_ACCOUNTS", &format!("{system}/ztunnel"));
    let mut node_accounts = BTreeSet::new();
    for text in list(&accounts) {
        match NamespacedName::parse(&text) {
            Some(account) => {
                node_accounts.insert(account);
            }
            None => reader.problem(
                "CA_TRUSTED_NODE_ACCOUNTS",
                "is not a list of namespace/name",
            ),
        }
    }
    let day = 24 * 3600;
    let mut life =
        |name, days: u64| reader.duration_within(name, Duration::from_secs(days * day), LIVES);
    let default = life("DEFAULT_WORKLOAD_CERT_TTL", 1);
    let max = life("MAX_WORKLOAD_CERT_TTL", 90);
    if default > max {
        reader.problem(
            "DEFAULT_WORKLOAD_CERT_TTL",
            "must not be longer than MAX_WORKLOAD_CERT_TTL",
        );
    }
    let seconds =
        |life: Duration| time::Duration::seconds(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    ca::Settings {
        node_accounts,
        lives: Lives {
            default: seconds(default),
            max: seconds(max),
        },
        per_second: reader.within("WEFT_CA_RATE", 100, REQUESTS),
        burst: reader.within("WEFT_CA_BURST", 1000, REQUESTS),
        patience: reader.duration_within(
            "WEFT_CA_PATIENCE",
            Duration::from_secs(1),
            Duration::ZERO..=LONGEST_PATIENCE,
        ),
    }
}

fn deployment(reader: &mut Reader, system: &str, domain: &str) -> deploy::Settings {
    let address = format!("https://weft-controller.{system}.svc:15012");
    deploy::Settings {
        image: reader.text_or("WEFT_WAYPOINT_IMAGE", "weft.dev/waypoint"),
        controller_address: reader.text_or("WEFT_WAYPOINT_CONTROLLER_ADDRESS", &address),
        root_config_map: reader.text_or("WEFT_ROOT_CONFIG_MAP", "istio-ca-root-cert"),
        cluster: reader.text_or("CLUSTER_ID", "Kubernetes").into(),
        domain: domain.into(),
        system_namespace: system.into(),
    }
}

fn prefixes(reader: &mut Reader) -> Prefixes {
    let default = Prefixes::default();
    let mut range = |name, default: Subnet, widths: std::ops::RangeInclusive<u8>| {
        let Some(text) = reader.text(name) else {
            return default;
        };
        let range = Subnet::parse(text)
            .filter(|it| it.address.is_ipv4() == default.address.is_ipv4())
            .filter(|it| it.length.is_some_and(|length| widths.contains(&length)));
        range.unwrap_or_else(|| {
            let problem = "must be a range of its family: /8 to /30 in IPv4, /16 to /126 in IPv6";
            reader.problem(name, problem);
            default
        })
    };
    Prefixes {
        v4: range("PILOT_IP_AUTOALLOCATE_IPV4_PREFIX", default.v4, 8..=30),
        v6: range("PILOT_IP_AUTOALLOCATE_IPV6_PREFIX", default.v6, 16..=126),
    }
}

/// The names clients call the server by, Weft's and Istio's, short and full.
fn server_names(reader: &mut Reader, system: &str, domain: &str) -> Vec<String> {
    let services = [
        format!("weft-controller.{system}.svc"),
        "istiod.istio-system.svc".to_owned(),
    ];
    let mut names = vec!["localhost".to_owned()];
    for service in services {
        names.push(format!("{service}.{domain}"));
        names.push(service);
    }
    for name in list(&reader.text_or("WEFT_SERVER_NAMES", "")) {
        if DnsName::try_from(name.as_str()).is_err() {
            reader.problem("WEFT_SERVER_NAMES", "is not a list of DNS names");
        }
        names.push(name);
    }
    names.sort();
    names.dedup();
    names
}

fn log(reader: &mut Reader) -> Log {
    let format = match reader.text_or("LOG_FORMAT", "plain").as_str() {
        "json" => Format::Json,
        "plain" => Format::Plain,
        _ => {
            reader.problem("LOG_FORMAT", "must be plain or json");
            Format::Plain
        }
    };
    Log {
        format,
        filter: reader.text_or("RUST_LOG", "info,kube_client=off"),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 4] = [
        ("WEFT_OBJECTS_DIR", "/objects"),
        ("WEFT_STATE_DIR", "/state"),
        ("WEFT_JWKS", "/jwks"),
        ("WEFT_TOKEN_ISSUER", "issuer"),
    ];

    #[test]
    fn defaults_are_those_of_the_table() {
        let config = read(Reader::from_values(REQUIRED)).unwrap();
        assert_eq!(config.listen.grpc.to_string(), "[::]:15012");
        assert_eq!(config.listen.admin.to_string(), "127.0.0.1:15014");
        let accounts: Vec<_> = config
            .authority
            .node_accounts
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(accounts, ["weft-system/ztunnel"]);
        assert_eq!(config.authority.lives.max.whole_days(), 90);
        assert!(
            config
                .server_names
                .contains(&"weft-controller.weft-system.svc".to_owned())
        );
        assert!(
            config
                .server_names
                .contains(&"istiod.istio-system.svc".to_owned())
        );
    }

    #[test]
    fn every_bad_value_is_named_at_once() {
        let bad = [
            ("WEFT_GRPC_ADDRESS", "x"),
            ("WEFT_ADMIN_ADDRESS", "0.0.0.0:15014"),
            ("TOKEN_AUDIENCES", ","),
            ("WEFT_SERVER_NAMES", "fine.example,not a name"),
            ("WEFT_CA_RATE", "0"),
            ("WEFT_CA_BURST", "0"),
            ("WEFT_CA_PATIENCE", "61s"),
            ("DEFAULT_WORKLOAD_CERT_TTL", "500ms"),
            ("MAX_WORKLOAD_CERT_TTL", "18446744073709551615s"),
            ("CA_TRUSTED_NODE_ACCOUNTS", "a"),
            ("LOG_FORMAT", "y"),
            ("PILOT_IP_AUTOALLOCATE_IPV4_PREFIX", "2001:2::/48"),
            ("PILOT_IP_AUTOALLOCATE_IPV6_PREFIX", "2001:2::"),
        ];
        let error = read(Reader::from_values(bad)).unwrap_err();
        let names: Vec<_> = error.problems.iter().map(|it| it.name).collect();
        for name in REQUIRED.iter().chain(&bad).map(|it| it.0) {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
    }

    #[test]
    fn an_api_server_needs_no_directory_and_no_keys() {
        let read = |more: &[(&'static str, &'static str)]| {
            let values = [("WEFT_STATE_DIR", "/state")].into_iter();
            read(Reader::from_values(values.chain(more.iter().copied())))
        };
        let config = read(&[("WEFT_SOURCE", "in-cluster")]).unwrap();
        assert!(matches!(
            config.objects,
            Objects::ApiServer {
                access: Access::InCluster,
                ..
            }
        ));
        assert!(matches!(config.tokens, Tokens::Review(_)));
        let of_file = [
            ("WEFT_SOURCE", "kubeconfig"),
            ("KUBECONFIG", "/k"),
            ("POD_NAME", "c-1"),
        ];
        let Objects::ApiServer { access, me } = read(&of_file).unwrap().objects else {
            panic!("no API server");
        };
        assert_eq!(access, Access::Kubeconfig("/k".into()));
        assert!(me.starts_with("c-1_"), "{me}");
        let of_keys = [
            ("WEFT_SOURCE", "in-cluster"),
            ("WEFT_JWKS", "/jwks"),
            ("WEFT_TOKEN_ISSUER", "i"),
        ];
        assert!(matches!(
            read(&of_keys).unwrap().tokens,
            Tokens::Keys { .. }
        ));
        for bad in [
            &[("WEFT_SOURCE", "kubeconfig")][..],
            &[("WEFT_SOURCE", "in-cluster"), ("WEFT_JWKS", "/jwks")],
            &[("WEFT_SOURCE", "etcd")],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_addresses_and_rates_are_refused_outside_of_what_makes_sense() {
        for (name, value, is_fine) in [
            ("WEFT_ADMIN_ADDRESS", "[::1]:0", true),
            ("WEFT_ADMIN_ADDRESS", "127.0.0.2:15014", true),
            ("WEFT_ADMIN_ADDRESS", "[::]:15014", false),
            ("WEFT_ADMIN_ADDRESS", "10.0.0.1:15014", false),
            ("TOKEN_AUDIENCES", "a, b", true),
            ("TOKEN_AUDIENCES", " , ", false),
            ("WEFT_SERVER_NAMES", "a.example, b-1.example", true),
            ("WEFT_SERVER_NAMES", "https://a.example", false),
            ("WEFT_SERVER_NAMES", "10.0.0.1", false),
            ("WEFT_SERVER_NAMES", "-a.example", false),
            ("WEFT_CA_RATE", "1", true),
            ("WEFT_CA_RATE", "1000001", false),
            ("MAX_WORKLOAD_CERT_TTL", "24h", true),
            ("MAX_WORKLOAD_CERT_TTL", "23h", false),
            ("DEFAULT_WORKLOAD_CERT_TTL", "1s", true),
        ] {
            let read = read(Reader::from_values(
                REQUIRED.into_iter().chain([(name, value)]),
            ));
            assert_eq!(read.is_ok(), is_fine, "{name}={value}: {read:?}");
        }
    }
}
