//! The configuration dump: what this proxy knows and does, in the public JSON shape.
//! Source: docs/compat.md#admin-endpoints. No private key is in reach of this file.

use std::time::SystemTime;

use mesh::cert::CertificateState;
use mesh::flow::Direction;
use mesh::state::Snapshot;
use mesh::tls::CertificateInfo;
use serde_json::{Map, Value, json};

use crate::connections::View;
use crate::pod::{PodView, Shared};
use crate::workers::Posts;

mod services;
mod policies;
mod records;

/// Where a dump is taken from.
#[derive(Clone)]
pub struct Dump {
    /// State, certificates, settings.
    pub shared: Shared,
    /// The workers, for pods and connections.
    pub posts: Posts,
}

impl Dump {
    /// Takes one. Each part is consistent in itself.
    pub async fn take(&self) -> Value {
        let pods = self.posts.show().await;
        let snapshot = self.shared.state.load();
        json!({
            "workloads": snapshot.workloads().map(|w| records::workload(&w.to_model())).collect::<Vec<_>>(),
            "services": snapshot.services().map(|s| services::service(&snapshot, s)).collect::<Vec<_>>(),
            "policies": snapshot.policies().map(policies::policy).collect::<Vec<_>>(),
            "rejectedPolicies": snapshot.rejected_policies().map(policies::rejected).collect::<Vec<_>>(),
            "stagedServices": snapshot.staged_services().map(ToString::to_string).collect::<Vec<_>>(),
            "staticConfig": {},
            "version": { "version": env!("CARGO_PKG_VERSION"), "program": "weft" },
            "config": self.config(),
            "certificates": certificates(&self.shared.certificates.list(), SystemTime::now()),
            "workloadState": workload_state(&snapshot, &pods),
        })
    }

    fn config(&self) -> Value {
        let config = &self.shared.config;
        json!({
            "nodeName": config.node.name,
            "clusterId": config.node.cluster,
            "clusterDomain": config.node.cluster_domain,
            "network": config.node.network,
            "packetMark": config.doors.mark,
            "workerThreads": config.worker_threads,
            "inpodUds": config.pods.socket,
            "connectionTerminationDeadlineMs": millis(config.drain_deadline),
            "secretTtlMs": millis(config.certificates.lifetime),
            "poolMaxStreamsPerConn": config.tunnels.max_streams,
            "poolUnusedReleaseTimeoutMs": millis(config.tunnels.unused_release),
            "windowSize": config.tunnels.stream_window,
            "connectionWindowSize": config.tunnels.connection_window,
            "frameSize": config.tunnels.frame_size,
        })
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Pods with their connections, by unique id.
fn workload_state(snapshot: &Snapshot, pods: &[PodView]) -> Value {
    let through = |pod: &PodView, door: Direction| -> Vec<Value> {
        let views = pod.connections.iter().filter(|view| view.direction == door);
        views.map(connection).collect()
    };
    let mut all = Map::new();
    for pod in pods {
        let info = &pod.info;
        let record = snapshot.find_workload(&info.namespace, &info.name, &info.service_account);
        let state = json!({
            "state": "Up",
            "info": {
                "name": &*pod.info.name,
                "namespace": &*pod.info.namespace,
                "serviceAccount": &*pod.info.service_account,
                "trustDomain": record.map(|it| it.identity().trust_domain.to_string()),
            },
            "netnsInode": pod.netns,
            "connections": {
                "inbound": through(pod, Direction::Inbound),
                "outbound": through(pod, Direction::Outbound),
            },
        });
        all.insert(pod.uid.to_string(), state);
    }
    Value::Object(all)
}

fn connection(view: &View) -> Value {
    let mut shown = json!({
        "src": view.source.to_string(),
        "originalDst": view.asked,
        "actualDst": view.destination.to_string(),
        "protocol": if view.tunnel.is_some() { "HBONE" } else { "TCP" },
        "bytesSent": view.bytes.0,
        "bytesReceived": view.bytes.1,
        "ageMs": millis(view.age),
    });
    if let (Some((hop, identity, group)), Some(fields)) = (&view.tunnel, shown.as_object_mut()) {
        fields.insert("hopAddress".into(), hop.to_string().into());
        fields.insert("peerIdentity".into(), identity.as_str().into());
        fields.insert("keyExchangeGroup".into(), (*group).into());
    }
    shown
}

fn certificates(states: &[CertificateState], now: SystemTime) -> Value {
    states.iter().map(|it| certificate(it, now)).collect()
}

fn certificate(state: &CertificateState, now: SystemTime) -> Value {
    let (chain, roots) = match &state.credentials {
        Some(credentials) => (shown(credentials.chain()), shown(credentials.roots())),
        None => (Vec::new(), Vec::new()),
    };
    let ends = state.credentials.as_ref().map(|it| it.not_after());
    let word = match (ends, &state.failure) {
        (Some(end), _) if end > now => "Available".to_owned(),
        (Some(_), None) => "Unavailable: it has expired".to_owned(),
        (_, Some(failure)) => format!("Unavailable: {}", mesh::telemetry::report(&**failure)),
        (None, None) => "Initializing".to_owned(),
    };
    json!({
        "identity": state.identity.to_string(),
        "state": word,
        "certChain": chain,
        "rootCerts": roots,
    })
}

fn shown(certificates: &[CertificateInfo]) -> Vec<Value> {
    certificates
        .iter()
        .map(|certificate| {
            json!({
                "pem": records::pem(&certificate.der),
                "serialNumber": &*certificate.serial,
                "validFrom": records::time(certificate.not_before),
                "expirationTime": records::time(certificate.not_after),
            })
        })
        .collect()
}
