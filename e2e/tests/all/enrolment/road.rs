//! Pods that journeys of enrolment start and change, and the road by which connections reach them.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use e2e::app::ECHO;
use e2e::app::client::Seen;
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;
use serde_json::{Value, json};

use crate::ensure;

pub(super) const DUMP: &str = "http://127.0.0.1:15000/config_dump";
pub(super) const CLIENT: &str = "mesh/client";
pub(super) const SERVER: &str = "shop/server";
pub(super) const STRANGER: &str = "street/stranger";

/// A pod that runs this executable. Its account is its name.
#[derive(Clone)]
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    node: &'a str,
    labels: Value,
    annotations: Value,
    arguments: Vec<String>,
    /// More of its specification.
    spec: Value,
}

impl<'a> Wish<'a> {
    /// A server in the mesh's hands or not, as its namespace says.
    pub(super) fn server(name: &'a str, node: &'a str) -> Self {
        Wish {
            name,
            node,
            labels: json!({}),
            annotations: json!({}),
            arguments: vec!["serve".to_owned()],
            spec: json!({}),
        }
    }

    pub(super) fn labelled(self, mode: &str) -> Self {
        Wish {
            labels: json!({ "istio.io/dataplane-mode": mode }),
            ..self
        }
    }

    pub(super) fn annotated(self, key: &str, value: &str) -> Self {
        Wish {
            annotations: json!({ key: value }),
            ..self
        }
    }

    pub(super) fn running(self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
        Wish { arguments, ..self }
    }

    pub(super) fn with(self, spec: Value) -> Self {
        Wish { spec, ..self }
    }

    /// Applies it: a new pod, or a change of one that runs.
    pub(super) fn apply(&self, world: &World) -> Result<()> {
        let (namespace, name) = self.name.split_once('/').context("namespace/name")?;
        let program = std::env::current_exe()?.to_string_lossy().into_owned();
        let mut command = vec![program, "app".to_owned()];
        command.extend(self.arguments.iter().cloned());
        let is_server = self.arguments == ["serve"];
        let probe = json!({ "tcpSocket": { "port": ECHO }, "periodSeconds": 1 });
        let mut document = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": self.labels,
                "annotations": self.annotations,
            },
            "spec": {
                "nodeName": self.node,
                "serviceAccountName": name,
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "app",
                    "image": "journey",
                    "command": command,
                    // It may change its own network, as a careless administrator inside it could.
                    "securityContext": { "privileged": true },
                    "readinessProbe": if is_server { probe } else { Value::Null },
                }],
            },
        });
        let spec = document.pointer_mut("/spec").and_then(Value::as_object_mut);
        let more = self.spec.as_object().into_iter().flatten();
        if let Some(spec) = spec {
            spec.extend(more.map(|(key, value)| (key.clone(), value.clone())));
        }
        world.apply(&document.to_string())
    }
}

/// How a connection reaches a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// Through a tunnel, from a client with this service account.
    Tunnel(String),
    /// In plain text, through the pod's proxy.
    Captured,
    /// Past any proxy.
    Open,
}

pub(super) fn tunnel(account: &str) -> Road {
    Road::Tunnel(format!("spiffe://cluster.local/ns/mesh/sa/{account}"))
}

/// Talks to a server, and has its node's proxy say how that connection came.
pub(super) fn road(world: &World, from: &str, to: &str) -> Result<Road> {
    let status = world.status(to)?;
    let node = status.node.with_context(|| format!("{to} has no node"))?;
    let talk = world.talk(from, world.address(to)?)?;
    let state = pod_state(world, &node, to)?;
    let source = format!("{}:", world.address(from)?);
    let inbound = state
        .as_ref()
        .and_then(|state| state.pointer("/connections/inbound")?.as_array())
        .into_iter()
        .flatten();
    let mut from_there = inbound.filter(|it| {
        let text = it.get("src").and_then(Value::as_str);
        text.is_some_and(|text| text.starts_with(&source))
    });
    let road = match from_there.next() {
        None => Road::Open,
        Some(connection) => match connection.get("peerIdentity").and_then(Value::as_str) {
            Some(identity) => Road::Tunnel(identity.to_owned()),
            None => Road::Captured,
        },
    };
    whole(&talk.finish()?)?;
    Ok(road)
}

/// Waits until connections take this road.
pub(super) fn takes(world: &World, from: &str, to: &str, expected: &Road) -> Result<()> {
    let what = format!("{from} reaches {to} by {expected:?}");
    eventually(&what, PATIENCE, || {
        let road = road(world, from, to)?;
        ensure(road == *expected, || format!("{road:?}")).map(Some)
    })
}

/// All bytes arrived, and in order.
pub(super) fn whole(seen: &Seen) -> Result<()> {
    match seen {
        Seen::Digests(pairs) if pairs.iter().all(|(sent, got)| sent == got) => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// What a node's proxy says of a pod that it serves.
pub(super) fn pod_state(world: &World, node: &str, pod: &str) -> Result<Option<Value>> {
    let dump = world.page(&Target::Node(node.to_owned()), DUMP)?;
    let pods = dump.get("workloadState").and_then(Value::as_object);
    let is_it = |state: &&Value| {
        let text = |pointer| state.pointer(pointer).and_then(Value::as_str);
        let (namespace, name) = (text("/info/namespace"), text("/info/name"));
        namespace.zip(name) == pod.split_once('/')
    };
    Ok(pods.and_then(|pods| pods.values().find(is_it).cloned()))
}

/// The identities for which a node's proxy holds certificates.
pub(super) fn identities(world: &World, node: &str) -> Result<Vec<String>> {
    let dump = world.page(&Target::Node(node.to_owned()), DUMP)?;
    let certificates = dump.get("certificates").and_then(Value::as_array);
    let identity = |it: &Value| Some(it.get("identity")?.as_str()?.to_owned());
    Ok(certificates
        .into_iter()
        .flatten()
        .filter_map(identity)
        .collect())
}

/// Runs one of this executable's programs on a node, outside of any pod.
pub(super) fn on_node(world: &World, node: &str, program: &[&str]) -> Result<String> {
    let exe = std::env::current_exe()?;
    let exe = exe.to_string_lossy();
    let command = [&[&exe, "app"], program].concat();
    let output = world
        .sandbox
        .exec(&Target::Node(node.to_owned()), &command)?;
    ensure(output.exit.is_success(), || {
        format!("{program:?}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(output.text())
}

pub(super) fn probed(world: &World, node: &str) -> Result<Vec<IpAddr>> {
    Ok(serde_json::from_str(&on_node(world, node, &["probed"])?)?)
}
