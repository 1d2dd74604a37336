//! The variables of the node agent and of the plugin: the only place of this crate that reads the environment.
//!
//! The plugin reads the `CNI_*` variables of the CNI specification.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use mesh::settings::{BadSettings, Reader, Variable};
use mesh::telemetry::log::Format;

use objects::api::Access;

use super::{Call, Config, Exclusions, Pages, Paths, Patience, Place};
use crate::add_event::{self, SOCKET_NAME};
use crate::rules;

/// The agent's variables, in the order of the reference page.
pub const VARIABLES: &[Variable] = &[
    (
        "NODE_NAME",
        "",
        "the node whose pods the agent enrols; required",
    ),
    (
        "WEFT_SOURCE",
        "directory",
        "where the objects are: directory, in-cluster (the API server of the cluster this runs in) or kubeconfig (the one that KUBECONFIG leads to)",
    ),
    (
        "WEFT_OBJECTS_DIR",
        "",
        "the directory of objects; required with WEFT_SOURCE=directory",
    ),
    (
        "KUBECONFIG",
        "",
        "configuration file of kubectl, its current context counts; required with WEFT_SOURCE=kubeconfig",
    ),
    (
        "INPOD_UDS",
        "/var/run/ztunnel/ztunnel.sock",
        "the node socket, where ztunnel dials",
    ),
    (
        "WEFT_CNI_RUN_DIR",
        "/var/run/istio-cni",
        "where the agent remembers pods' namespaces",
    ),
    (
        "WEFT_CNI_PLUGIN_SOCKET",
        "<WEFT_CNI_RUN_DIR>/pluginevent.sock",
        "where the plugin asks",
    ),
    (
        "POD_NAMESPACE",
        "weft-system",
        "the namespace of the mesh's own programs",
    ),
    (
        "EXCLUDE_NAMESPACES",
        "kube-system",
        "namespaces outside the mesh, with commas",
    ),
    (
        "HOST_PROBE_SNAT_IP",
        "169.254.7.127",
        "the address that the kubelet reaches pods from",
    ),
    (
        "HOST_PROBE_SNAT_IPV6",
        "fd16:9254:7127:1337:ffff:ffff:ffff:ffff",
        "the same for IPv6",
    ),
    ("WEFT_KUBELET_UID", "0", "the user the kubelet runs as"),
    ("AMBIENT_IPV6", "true", "whether IPv6 is captured"),
    (
        "AMBIENT_DNS_CAPTURE",
        "false",
        "whether DNS is captured; ztunnel cannot answer DNS yet",
    ),
    (
        "WEFT_CNI_LOOK_UP_WAIT",
        "1s",
        "how long the plugin is kept waiting for the pod's object",
    ),
    (
        "WEFT_CNI_CONFIRMATION_WAIT",
        "8s",
        "how long the plugin is kept waiting for ztunnel; with WEFT_CNI_LOOK_UP_WAIT below its own 12 s",
    ),
    (
        "WEFT_CNI_CHECK_INTERVAL",
        "30s",
        "how often the rules of pods and node are looked at and put back if somebody changed them, even if the kernel gives no \
         notice of it",
    ),
    (
        "WEFT_ADMIN_ADDRESS",
        "127.0.0.1:15014",
        "admin pages, a loopback address",
    ),
    ("WEFT_READY_ADDRESS", "0.0.0.0:8000", "readiness"),
    ("RUST_LOG", "info", "log filter"),
    ("LOG_FORMAT", "plain", "log format, plain or json"),
];

/// Reads the agent's settings.
///
/// # Errors
/// All values that cannot be used, at once.
pub fn agent(mut from: Reader) -> Result<Config, BadSettings> {
    let default = rules::Settings::default();
    let run_directory = from.text_or("WEFT_CNI_RUN_DIR", "/var/run/istio-cni");
    let plugin_socket = format!("{run_directory}/{}", SOCKET_NAME);
    let config = Config {
        node_name: from.required("NODE_NAME"),
        objects: objects(&mut from),
        paths: Paths {
            node_socket: from
                .text_or("INPOD_UDS", "/var/run/ztunnel/ztunnel.sock")
                .into(),
            plugin_socket: from
                .text_or("WEFT_CNI_PLUGIN_SOCKET", &plugin_socket)
                .into(),
            run_directory: PathBuf::from(run_directory),
        },
        exclusions: Exclusions {
            namespaces: list(&from.text_or("EXCLUDE_NAMESPACES", "kube-system")),
            system_namespace: from.text_or("POD_NAMESPACE", "weft-system"),
        },
        rules: rules::Settings {
            probe_address_v4: from.parse("HOST_PROBE_SNAT_IP", default.probe_address_v4),
            probe_address_v6: from.parse("HOST_PROBE_SNAT_IPV6", default.probe_address_v6),
            ipv6: from.parse("AMBIENT_IPV6", default.ipv6),
            dns_capture: from.parse("AMBIENT_DNS_CAPTURE", default.dns_capture),
        },
        kubelet_user: from.parse("WEFT_KUBELET_UID", 0),
        patience: patience(&mut from),
        check_interval: check_interval(&mut from),
        pages: pages(&mut from),
        log_filter: from.text_or("RUST_LOG", "info"),
        log_format: log_format(&mut from),
    };
    from.finish()?;
    Ok(config)
}

/// Whether a container runtime calls this program as a plugin.
#[must_use]
pub fn is_plugin_call(from: &Reader) -> bool {
    from.text("CNI_COMMAND").is_some()
}

/// Reads what a container runtime asks of the plugin.
#[must_use]
pub fn plugin_call(from: &Reader) -> Call {
    Call {
        command: from.text_or("CNI_COMMAND", ""),
        container: from.text_or("CNI_CONTAINERID", ""),
        interface: from.text_or("CNI_IFNAME", ""),
        netns: from.text_or("CNI_NETNS", ""),
        arguments: from.text_or("CNI_ARGS", ""),
    }
}

fn objects(from: &mut Reader) -> Place {
    match from.text_or("WEFT_SOURCE", "directory").as_str() {
        "directory" => Place::Directory(from.required("WEFT_OBJECTS_DIR").into()),
        "in-cluster" => Place::ApiServer(Access::InCluster),
        "kubeconfig" => Place::ApiServer(Access::Kubeconfig(from.required("KUBECONFIG").into())),
        _ => {
            from.problem("WEFT_SOURCE", "must be directory, in-cluster or kubeconfig");
            Place::ApiServer(Access::InCluster)
        }
    }
}

fn pages(from: &mut Reader) -> Pages {
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, 15014));
    let ready = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8000));
    let pages = Pages {
        admin: from.parse("WEFT_ADMIN_ADDRESS", admin),
        ready: from.parse("WEFT_READY_ADDRESS", ready),
    };
    if !pages.admin.ip().is_loopback() {
        from.problem("WEFT_ADMIN_ADDRESS", "must be a loopback address");
    }
    pages
}

/// The agent's answer has to come while the plugin still waits: it says what is missing.
fn patience(from: &mut Reader) -> Patience {
    let patience = Patience {
        look_up: from.duration("WEFT_CNI_LOOK_UP_WAIT", Duration::from_secs(1)),
        confirmation: from.duration("WEFT_CNI_CONFIRMATION_WAIT", Duration::from_secs(8)),
    };
    let together = patience.look_up.saturating_add(patience.confirmation);
    if together >= add_event::PATIENCE {
        from.problem(
            "WEFT_CNI_CONFIRMATION_WAIT",
            "must be below 12s together with WEFT_CNI_LOOK_UP_WAIT: the plugin waits no longer",
        );
    }
    patience
}

fn check_interval(from: &mut Reader) -> Duration {
    let interval = from.duration("WEFT_CNI_CHECK_INTERVAL", Duration::from_secs(30));
    if interval.is_zero() {
        from.problem("WEFT_CNI_CHECK_INTERVAL", "must be longer than nothing");
    }
    interval
}

fn log_format(from: &mut Reader) -> Format {
    let word = from.text_or("LOG_FORMAT", "plain");
    Format::from_word(&word).unwrap_or_else(|| {
        from.problem("LOG_FORMAT", "must be plain or json");
        Format::Plain
    })
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [(&str, &str); 2] = [("NODE_NAME", "n1"), ("WEFT_OBJECTS_DIR", "/objects")];

    #[test]
    fn objects_are_in_a_directory_or_with_an_api_server() {
        let node = ("NODE_NAME", "n1");
        let directory = Place::Directory("/objects".into());
        let file = Place::ApiServer(Access::Kubeconfig("/config".into()));
        for (values, expected) in [
            (vec![("WEFT_OBJECTS_DIR", "/objects")], Some(directory)),
            (vec![], None),
            (
                vec![("WEFT_SOURCE", "in-cluster")],
                Some(Place::ApiServer(Access::InCluster)),
            ),
            (
                vec![("WEFT_SOURCE", "kubeconfig"), ("KUBECONFIG", "/config")],
                Some(file),
            ),
            (vec![("WEFT_SOURCE", "kubeconfig")], None),
            (vec![("WEFT_SOURCE", "elsewhere")], None),
        ] {
            let shown = format!("{values:?}");
            let read = agent(Reader::from_values(values.into_iter().chain([node])));
            assert_eq!(read.ok().map(|it| it.objects), expected, "{shown}");
        }
    }

    #[test]
    fn the_agent_gives_up_before_the_plugin_does() {
        for (look_up, confirmation, is_fine) in [
            ("1s", "8s", true),
            ("0s", "11999ms", true),
            ("0s", "12s", false),
            ("4s", "8s", false),
            ("13s", "0s", false),
            ("18446744073709551615s", "18446744073709551615s", false),
        ] {
            let waits = [
                ("WEFT_CNI_LOOK_UP_WAIT", look_up),
                ("WEFT_CNI_CONFIRMATION_WAIT", confirmation),
            ];
            let read = agent(Reader::from_values(REQUIRED.into_iter().chain(waits)));
            let problems = read.map(|_| ()).map_err(|it| it.problems);
            match problems {
                Ok(()) => assert!(is_fine, "{look_up} {confirmation}"),
                Err(problems) => {
                    assert!(!is_fine, "{problems:?}");
                    assert_eq!(problems.len(), 1, "{problems:?}");
                    assert_eq!(problems[0].name, "WEFT_CNI_CONFIRMATION_WAIT");
                }
            }
        }
    }

    #[test]
    fn every_bad_value_is_named_at_once() {
        let bad = [
            ("NODE_NAME", ""),
            ("WEFT_OBJECTS_DIR", ""),
            ("HOST_PROBE_SNAT_IP", "fd00::1"),
            ("AMBIENT_IPV6", "perhaps"),
            ("WEFT_KUBELET_UID", "-1"),
            ("WEFT_CNI_LOOK_UP_WAIT", "soon"),
            ("WEFT_CNI_CHECK_INTERVAL", "0s"),
            ("WEFT_ADMIN_ADDRESS", "0.0.0.0:15014"),
            ("LOG_FORMAT", "xml"),
        ];
        let problems = agent(Reader::from_values(bad)).unwrap_err().problems;
        let mut named: Vec<_> = problems.iter().map(|it| it.name).collect();
        named.sort_unstable();
        let mut expected = bad.map(|it| it.0);
        expected.sort_unstable();
        assert_eq!(named, expected);
    }
}
