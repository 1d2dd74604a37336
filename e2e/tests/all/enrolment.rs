//! A pod's life in the mesh: labels and annotations change, rules are flushed, programs are killed, pods come and go.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use e2e::app::client::{Seen, Task};
use e2e::app::runtime::{Answer, Call};
use e2e::app::{COLLECT, ECHO};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::Target;
use sandbox::capture::parse::streams;
use sandbox::capture::recording::Recording;
use serde_json::{Value, json};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 5] = [
    (
        "labels_and_annotations_of_running_pods_take_effect_both_ways",
        labels,
    ),
    (
        "flushed_rules_of_a_pod_and_a_node_are_put_back_and_traffic_is_mutual_tls_again",
        flushed,
    ),
    (
        "agent_and_proxy_may_die_and_come_back_in_any_order_under_traffic",
        restarts,
    ),
    (
        "pods_and_labels_that_come_while_agent_or_controller_are_away_are_made_up_for",
        away,
    ),
    (
        "a_successor_at_the_same_address_inherits_nothing",
        successor,
    ),
];

const DUMP: &str = "http://127.0.0.1:15000/config_dump";
const CLIENT: &str = "mesh/client";
const SERVER: &str = "shop/server";
const STRANGER: &str = "street/stranger";

/// A pod that runs this executable. Its account is its name.
#[derive(Clone)]
struct Wish<'a> {
    name: &'a str,
    node: &'a str,
    labels: Value,
    annotations: Value,
    arguments: Vec<String>,
    /// More of its specification.
    spec: Value,
}

impl<'a> Wish<'a> {
    /// A server in the mesh's hands or not, as its namespace says.
    fn server(name: &'a str, node: &'a str) -> Self {
        Wish {
            name,
            node,
            labels: json!({}),
            annotations: json!({}),
            arguments: vec!["serve".to_owned()],
            spec: json!({}),
        }
    }

    fn labelled(self, mode: &str) -> Self {
        Wish {
            labels: json!({ "istio.io/dataplane-mode": mode }),
            ..self
        }
    }

    fn annotated(self, key: &str, value: &str) -> Self {
        Wish {
            annotations: json!({ key: value }),
            ..self
        }
    }

    fn with(self, spec: Value) -> Self {
        Wish { spec, ..self }
    }

    /// Applies it: a new pod, or a change of one that runs.
    fn apply(&self, world: &World) -> Result<()> {
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
enum Road {
    /// Through a tunnel, from a client with this service account.
    Tunnel(String),
    /// In plain text, through the pod's proxy.
    Captured,
    /// Past any proxy.
    Open,
}

fn tunnel(account: &str) -> Road {
    Road::Tunnel(format!("spiffe://cluster.local/ns/mesh/sa/{account}"))
}

/// Talks to a server, and has its node's proxy say how that connection came.
fn road(world: &World, from: &str, to: &str) -> Result<Road> {
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
fn takes(world: &World, from: &str, to: &str, expected: &Road) -> Result<()> {
    let what = format!("{from} reaches {to} by {expected:?}");
    eventually(&what, PATIENCE, || {
        let road = road(world, from, to)?;
        ensure(road == *expected, || format!("{road:?}")).map(Some)
    })
}

/// All bytes arrived, and in order.
fn whole(seen: &Seen) -> Result<()> {
    match seen {
        Seen::Digests(pairs) if pairs.iter().all(|(sent, got)| sent == got) => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// What a node's proxy says of a pod that it serves.
fn pod_state(world: &World, node: &str, pod: &str) -> Result<Option<Value>> {
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
fn identities(world: &World, node: &str) -> Result<Vec<String>> {
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
fn on_node(world: &World, node: &str, program: &[&str]) -> Result<String> {
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

fn probed(world: &World, node: &str) -> Result<Vec<IpAddr>> {
    Ok(serde_json::from_str(&on_node(world, node, &["probed"])?)?)
}

/// A client in the mesh on one node; on the other a server and a stranger who is not.
fn journey(topic: &str, is_in_mesh: bool, walk: impl FnOnce(&World) -> Result<()>) -> Result<()> {
    let world = World::start(topic)?;
    let prepare = || {
        world.namespace("mesh", true)?;
        world.namespace("shop", is_in_mesh)?;
        world.namespace("street", false)?;
        Wish::server(CLIENT, "node-1").apply(&world)?;
        Wish::server(SERVER, "node-2").apply(&world)?;
        Wish::server(STRANGER, "node-2").apply(&world)?;
        world.wait(&[CLIENT], true)?;
        world.wait(&[SERVER], is_in_mesh)?;
        world.wait(&[STRANGER], false)
    };
    let outcome = prepare().and_then(|()| walk(&world));
    world.finish(outcome)
}

fn labels() -> Result<()> {
    journey("labels", false, |world| {
        by_labels(world)?;
        by_annotations(world)?;
        never_or_no_longer(world)
    })
}

fn by_labels(world: &World) -> Result<()> {
    let server = Wish::server(SERVER, "node-2");
    takes(world, CLIENT, SERVER, &Road::Open)?;

    world.namespace("shop", true)?;
    world.wait(&[SERVER], true)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;

    // The pod has the last word. A connection that goes on as it leaves the mesh is ended, and says why.
    let talk = world.talk(CLIENT, world.address(SERVER)?)?;
    server.clone().labelled("none").apply(world)?;
    let seen = talk.ended()?;
    ensure(
        matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
        || format!("{seen:?}"),
    )?;
    world.logged("ztunnel/node-2", &["inbound", "reason=\"drained\""])?;
    world.wait(&[SERVER], false)?;
    takes(world, CLIENT, SERVER, &Road::Open)?;

    // Its own label is enough, when its namespace says nothing.
    server.labelled("ambient").apply(world)?;
    world.namespace("shop", false)?;
    world.wait(&[SERVER], true)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    takes(world, STRANGER, SERVER, &Road::Captured)
}

fn by_annotations(world: &World) -> Result<()> {
    let server = Wish::server(SERVER, "node-2").labelled("ambient");
    let bypassing = server
        .clone()
        .annotated("ambient.istio.io/bypass-inbound-capture", "true");
    bypassing.apply(world)?;
    takes(world, STRANGER, SERVER, &Road::Open)?;
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    server.apply(world)?;
    takes(world, STRANGER, SERVER, &Road::Captured)?;

    let sidecar = server.clone().annotated("sidecar.istio.io/status", "{}");
    sidecar.apply(world)?;
    world.wait(&[SERVER], false)?;
    takes(world, CLIENT, SERVER, &Road::Open)?;
    server.apply(world)?;
    world.wait(&[SERVER], true)
}

/// Pods that no label brings into the mesh, and one that has done its work.
fn never_or_no_longer(world: &World) -> Result<()> {
    world.namespace("kube-system", true)?;
    let excluded = Wish::server("kube-system/excluded", "node-1");
    excluded.labelled("ambient").apply(world)?;
    let host = Wish::server("mesh/host", "node-1");
    host.with(json!({ "hostNetwork": true })).apply(world)?;
    let task = serde_json::to_string(&Task::FinishFirst { bytes: 1000 })?;
    let server = world.address(SERVER)?.to_string();
    let once = Wish {
        arguments: vec!["client".to_owned(), server, task],
        ..Wish::server("mesh/once", "node-1").with(json!({ "restartPolicy": "Never" }))
    };
    once.apply(world)?;

    let identity = "src.identity=\"spiffe://cluster.local/ns/mesh/sa/once\"";
    world.logged("ztunnel/node-2", &["connection complete", identity])?;
    eventually("the pod has ended and left the mesh", PATIENCE, || {
        let status = world.status("mesh/once")?;
        let ours = identities(world, "node-1")?;
        let is_out = status.phase == "Succeeded"
            && !status.enrolled
            && pod_state(world, "node-1", "mesh/once")?.is_none()
            && !ours.iter().any(|it| it.ends_with("/sa/once"));
        Ok(is_out.then_some(()))
    })?;
    world.wait(&["kube-system/excluded", "mesh/host"], false)?;
    for pod in ["kube-system/excluded", "mesh/host"] {
        ensure(pod_state(world, "node-1", pod)?.is_none(), || {
            pod.to_owned()
        })?;
    }
    let probed = probed(world, "node-1")?;
    ensure(probed == [world.address(CLIENT)?], || format!("{probed:?}"))
}

fn flushed() -> Result<()> {
    journey("flushed", true, |world| {
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        for pod in [CLIENT, SERVER] {
            let flushed = world.run(pod, &["flush"])?;
            ensure(flushed.exit.is_success(), || {
                String::from_utf8_lossy(&flushed.stderr).into_owned()
            })?;
        }
        on_node(world, "node-2", &["flush"])?;
        for (node, of) in [("node-1", "pod"), ("node-2", "pod"), ("node-2", "node")] {
            let count = format!("weft_cni_rules_restored_total{{of=\"{of}\"}} 1\n");
            eventually(&format!("{node} has counted {of}"), PATIENCE, || {
                let target = Target::Node(node.to_owned());
                let page = world.text(&target, "http://127.0.0.1:15014/metrics")?;
                Ok(page.contains(&count).then_some(()))
            })?;
        }
        world.logged("cni-agent/node-2", &["somebody changed", "shop/server"])?;
        // By what the wire shows, and not only by what the proxies say.
        let name = sandbox::PodName::parse(SERVER);
        let mut recording = Recording::new(world.sandbox.capture(&name)?)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        let frames = recording.frames()?;
        let client = world.address(CLIENT)?;
        let ports: Vec<u16> = streams(frames.iter().map(Vec::as_slice))
            .into_iter()
            .filter(|((from, _), bytes)| from.ip() == client && !bytes.is_empty())
            .map(|((_, to), _)| to.port())
            .collect();
        ensure(
            !ports.is_empty() && ports.iter().all(|port| *port == 15008),
            || format!("the client's bytes went to {ports:?}"),
        )?;
        takes(world, STRANGER, SERVER, &Road::Captured)?;
        let probed = probed(world, "node-2")?;
        ensure(probed == [world.address(SERVER)?], || format!("{probed:?}"))?;
        // The kubelet's probes go on to pass.
        ensure(world.status(SERVER)?.ready, || "not ready".to_owned())?;
        checked(world)
    })
}

/// What the real plugin tells a container runtime of the server.
fn checked(world: &World) -> Result<()> {
    let dump = world.page(&Target::Node("node-2".to_owned()), DUMP)?;
    let pods = dump.get("workloadState").and_then(Value::as_object);
    let is_server = |state: &Value| state.pointer("/info/name") == Some(&json!("server"));
    let mut pods = pods.into_iter().flatten();
    let found = pods.find(|(_, state)| is_server(state));
    let uid = found.context("the server is not served")?.0.as_str();
    let run = world.sandbox.place().run();
    let ask = |command: &str, version: &str| -> Result<Answer> {
        let call = Call {
            command: command.to_owned(),
            version: version.to_owned(),
            agent_folder: run.join("nodes/node-2/cni"),
            netns: run.join("netns").join(uid),
            pod: SERVER.to_owned(),
            uid: uid.to_owned(),
        };
        let call = serde_json::to_string(&call)?;
        let text = on_node(world, "node-2", &["plugin", &call])?;
        serde_json::from_str(&text).with_context(|| text.clone())
    };
    let well = Answer {
        is_success: true,
        printed: Value::Null,
    };
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let answer = ask("CHECK", version)?;
        ensure(answer == well, || format!("{version}: {answer:?}"))?;
    }
    let status = ask("STATUS", "1.1.0")?;
    ensure(status == well, || format!("{status:?}"))?;

    world.sandbox.kill_program("ztunnel/node-2", true)?;
    eventually("CHECK says that nobody serves the pod", PATIENCE, || {
        let answer = ask("CHECK", "1.1.0")?;
        let text = answer.printed.to_string();
        let is_said = text.contains("\"code\":100") && text.contains("no ztunnel is connected");
        ensure(!answer.is_success && is_said, || text).map(Some)
    })?;
    world.sandbox.kill_program("cni-agent/node-2", true)?;
    let answer = ask("CHECK", "1.1.0")?;
    let text = answer.printed.to_string();
    ensure(!answer.is_success && text.contains("\"code\":11"), || text)?;
    let status = ask("STATUS", "1.1.0")?;
    ensure(status == well, || format!("without an agent: {status:?}"))
}

fn restarts() -> Result<()> {
    journey("restarts", true, |world| {
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        agents_die(world)?;
        proxies_die(world)?;
        both_die(world)
    })
}

fn away() -> Result<()> {
    journey("away", true, |world| {
        pods_come_meanwhile(world)?;
        controller_is_away(world)
    })
}

/// Nothing is dropped while agents are away or start again.
fn agents_die(world: &World) -> Result<()> {
    let talk = world.talk(CLIENT, world.address(SERVER)?)?;
    for node in ["node-1", "node-2"] {
        let agent = format!("cni-agent/{node}");
        world.sandbox.kill_program(&agent, true)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        world.sandbox.start_program(&agent)?;
        connected(world, node)?;
    }
    takes(world, CLIENT, SERVER, &tunnel("client"))?;
    whole(&talk.finish()?)
}

/// Waits until an agent has a ztunnel on its socket, and both are ready.
fn connected(world: &World, node: &str) -> Result<()> {
    let target = Target::Node(node.to_owned());
    eventually(&format!("{node} is whole again"), PATIENCE, || {
        world.text(&target, "http://127.0.0.1:15021/healthz/ready")?;
        world.text(&target, "http://127.0.0.1:8000/readyz")?;
        let page = world.text(&target, "http://127.0.0.1:15014/metrics")?;
        Ok(page
            .contains("weft_cni_ztunnels_connected 1\n")
            .then_some(()))
    })
}

/// What a dead proxy carried ends; nothing goes around it; the next one serves all.
fn proxies_die(world: &World) -> Result<()> {
    for (node, dead) in [("node-1", CLIENT), ("node-2", SERVER)] {
        let talk = world.talk(CLIENT, world.address(SERVER)?)?;
        let proxy = format!("ztunnel/{node}");
        world.sandbox.kill_program(&proxy, true)?;
        let seen = talk.ended()?;
        ensure(
            matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
            || format!("{proxy} was killed, and the client saw {seen:?}"),
        )?;
        nobody_passes(world, dead)?;
        world.sandbox.start_program(&proxy)?;
        takes(world, CLIENT, SERVER, &tunnel("client"))?;
        connected(world, node)?;
    }
    Ok(())
}

/// Without its proxy a pod is neither reached nor reaches anybody: no bytes come through.
fn nobody_passes(world: &World, pod: &str) -> Result<()> {
    let port = COLLECT;
    for (from, to) in [(pod, STRANGER), (STRANGER, pod)] {
        let seen = world.client(from, world.address(to)?, &Task::ExpectRefusal { port })?;
        ensure(
            matches!(&seen, Seen::Ended { how, received: 0 } if how == "refused"),
            || format!("{from} to {to} without a proxy: {seen:?}"),
        )?;
    }
    Ok(())
}

/// Both, in either order of dying and of coming back.
fn both_die(world: &World) -> Result<()> {
    let node = "node-2";
    let (agent, proxy) = ("cni-agent/node-2", "ztunnel/node-2");
    let sandbox = &world.sandbox;
    for (first, second) in [(agent, proxy), (proxy, agent)] {
        for (back_first, back_second) in [(agent, proxy), (proxy, agent)] {
            sandbox.kill_program(first, true)?;
            sandbox.kill_program(second, true)?;
            nobody_passes(world, SERVER)?;
            sandbox.start_program(back_first)?;
            if back_first == proxy {
                not_ready_without_its_agent(world, node)?;
                nobody_passes(world, SERVER)?;
            }
            sandbox.start_program(back_second)?;
            takes(world, CLIENT, SERVER, &tunnel("client"))?;
            connected(world, node)?;
        }
    }
    Ok(())
}

fn not_ready_without_its_agent(world: &World, node: &str) -> Result<()> {
    let target = Target::Node(node.to_owned());
    let url = "http://127.0.0.1:15021/healthz/ready";
    eventually("the proxy runs, and is not ready", PATIENCE, || {
        let said = world.text(&target, url).err().map(|it| format!("{it:#}"));
        Ok(said.filter(|it| it.contains("status 500")).map(drop))
    })
}

/// Pods and labels that come while nobody looks are made up for.
fn pods_come_meanwhile(world: &World) -> Result<()> {
    let agent = "cni-agent/node-2";
    world.sandbox.kill_program(agent, true)?;
    // Without an agent nobody can tell who is the mesh's: pods wait, and say for whom.
    let early = Wish::server("mesh/early", "node-2");
    let outsider = Wish::server("street/early", "node-2");
    for wish in [&early, &outsider] {
        wish.apply(world)?;
        eventually(
            &format!("{} waits for the agent", wish.name),
            PATIENCE,
            || {
                let message = world.status(wish.name)?.message.unwrap_or_default();
                Ok(message.contains("cannot reach the agent").then_some(()))
            },
        )?;
    }
    // Namespaces that the plugin itself passes by do not wait.
    world.namespace("kube-system", false)?;
    let passed_by = Wish::server("kube-system/early", "node-2");
    passed_by.apply(world)?;
    world.wait(&[passed_by.name], false)?;
    Wish::server(STRANGER, "node-2")
        .labelled("ambient")
        .apply(world)?;
    Wish::server(SERVER, "node-2")
        .labelled("none")
        .apply(world)?;

    world.sandbox.start_program(agent)?;
    world.wait(&[early.name, STRANGER], true)?;
    world.wait(&[outsider.name, SERVER], false)?;
    takes(world, CLIENT, early.name, &tunnel("client"))?;
    takes(world, CLIENT, STRANGER, &tunnel("client"))?;
    takes(world, CLIENT, SERVER, &Road::Open)?;
    takes(world, CLIENT, outsider.name, &Road::Open)
}

/// Who is known goes on; who is new waits for the controller.
fn controller_is_away(world: &World) -> Result<()> {
    world.sandbox.kill_program("controller", true)?;
    let late = Wish::server("mesh/late", "node-1");
    late.apply(world)?;
    world.wait(&[late.name], true)?;
    takes(world, CLIENT, "mesh/early", &tunnel("client"))?;
    // Agents do without it.
    world.sandbox.kill_program("cni-agent/node-1", false)?;
    connected(world, "node-1")?;
    takes(world, CLIENT, "mesh/early", &tunnel("client"))?;
    // A proxy that starts again has neither a picture nor keys: it lets nobody pass until the controller is back.
    world.sandbox.kill_program("ztunnel/node-2", false)?;
    // Each of these waits a while for what only the controller can say, so they do it at the same time.
    let refusals = [late.name, CLIENT, "street/early"];
    let early = world.address("mesh/early")?;
    std::thread::scope(|scope| {
        let refusals = refusals.map(|from| scope.spawn(move || refused(world, from, early)));
        refusals.into_iter().try_for_each(|refusal| {
            let ended = refusal.join();
            ended.unwrap_or_else(|_| bail!("a thread panicked"))
        })
    })?;
    world.logged("ztunnel/node-1", &["reason=\"workload_unknown\""])?;
    world.sandbox.start_program("controller")?;
    takes(world, late.name, "mesh/early", &tunnel("late"))
}

/// Not a byte gets through.
fn refused(world: &World, from: &str, to: IpAddr) -> Result<()> {
    let port = COLLECT;
    let seen = world.client(from, to, &Task::ExpectRefusal { port })?;
    ensure(
        matches!(&seen, Seen::Ended { how, received: 0 } if how != "timeout"),
        || format!("{from} to {to}: {seen:?}"),
    )
}

fn successor() -> Result<()> {
    journey("successor", true, |world| {
        let address = "10.244.2.77";
        let at_address =
            |name| Wish::server(name, "node-2").annotated("weft.dev/ipv4-address", address);
        at_address("mesh/first").apply(world)?;
        world.wait(&["mesh/first"], true)?;
        let address: IpAddr = address.parse()?;
        takes(world, CLIENT, "mesh/first", &tunnel("client"))?;
        let there = format!("dst.hbone_addr={address}:{ECHO} ");
        let of_first = |direction| ["connection complete", direction, &there, "sa/first"];
        let before = [
            lines(world, "ztunnel/node-1", &of_first("outbound"))?,
            lines(world, "ztunnel/node-2", &of_first("inbound"))?,
        ];
        let talk = world.talk(CLIENT, address)?;

        world.sandbox.delete("Pod", "mesh", "first")?;
        at_address("mesh/second").apply(world)?;
        let seen = talk.ended()?;
        ensure(
            matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
            || format!("the server was deleted, and the client saw {seen:?}"),
        )?;
        // Both proxies say that it is over, and to whom it went.
        eventually("the end is in both logs", PATIENCE, || {
            let now = [
                lines(world, "ztunnel/node-1", &of_first("outbound"))?,
                lines(world, "ztunnel/node-2", &of_first("inbound"))?,
            ];
            Ok((now[0] > before[0] && now[1] > before[1]).then_some(()))
        })?;

        world.wait(&["mesh/second"], true)?;
        ensure(world.address("mesh/second")? == address, || {
            "the successor has another address".to_owned()
        })?;
        takes(world, CLIENT, "mesh/second", &tunnel("client"))?;
        // The client's proxy has asked for the successor's identity, and was shown it.
        let proved = ["connection complete", "outbound", &there, "sa/second"];
        world.logged("ztunnel/node-1", &proved)?;
        nothing_left_of_the_first(world, address)
    })
}

/// How many lines of a program's log have all these words.
fn lines(world: &World, program: &str, words: &[&str]) -> Result<usize> {
    let text = std::fs::read_to_string(world.log(program)?)?;
    let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
    Ok(text.lines().filter(has_all).count())
}

fn nothing_left_of_the_first(world: &World, address: IpAddr) -> Result<()> {
    eventually("the first pod is forgotten", PATIENCE, || {
        let is_served = pod_state(world, "node-2", "mesh/first")?.is_some();
        let identities = identities(world, "node-2")?;
        ensure(
            !is_served && !identities.iter().any(|it| it.ends_with("/sa/first")),
            || format!("served: {is_served}, certificates: {identities:?}"),
        )
        .map(Some)
    })?;
    let mut expected = vec![world.address(SERVER)?, address];
    expected.sort();
    eventually(
        "the probe set is that of the pods that live",
        PATIENCE,
        || {
            let mut probed = probed(world, "node-2")?;
            probed.sort();
            ensure(probed == expected, || format!("{probed:?}")).map(Some)
        },
    )
}
