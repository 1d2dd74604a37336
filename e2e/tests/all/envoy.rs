//! An independent peer: Envoy originates tunnels to Weft's node proxy and terminates tunnels from it,
//! with certificates of Weft's CA.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use e2e::app::COLLECT;
use e2e::app::client::{Seen, Task};
use e2e::app::impostor::TUNNEL;
use e2e::expect::eventually;
use e2e::mint::{Minted, Signer};
use e2e::world::{PATIENCE, Pod, World};
use sandbox::Target;
use serde_json::{Value, json};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 3] = [
    ("envoy_opens_a_tunnel_to_our_node_proxy", originates),
    ("envoy_terminates_a_tunnel_from_our_node_proxy", terminates),
    (
        "a_service_is_reached_through_its_waypoint_and_never_around_it",
        waypoint,
    ),
];

const DUMP: &str = "http://127.0.0.1:15000/config_dump";
const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// Envoy's executable, where `cargo xtask install` puts it.
fn envoy() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("workspace")?;
    let libraries = root.join("target/tools/envoy/lib");
    let found = fs::read_dir(&libraries)
        .with_context(|| format!("{}: run `cargo xtask install`", libraries.display()))?
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no envoy below {}: run `cargo xtask install`",
            libraries.display()
        )
    })
}

fn tls(kind: &str, papers: &Minted, peer: &str) -> Value {
    let file = |path: &Path| json!({ "filename": path });
    let mut config = json!({
        "@type": format!("{TYPES}.transport_sockets.tls.v3.{kind}TlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificates": [{
                "certificate_chain": file(&papers.certificate),
                "private_key": file(&papers.key),
            }],
            "validation_context": {
                "trusted_ca": file(&papers.root),
                "match_typed_subject_alt_names": [
                    { "san_type": "URI", "matcher": { "exact": peer } },
                ],
            },
        },
    });
    if kind == "Downstream"
        && let Some(fields) = config.as_object_mut()
    {
        fields.insert("require_client_certificate".to_owned(), json!(true));
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": config })
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}

fn cluster(name: &str, host: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(host, port) } }] }],
        },
    })
}

/// Takes plain TCP on 9000 and tunnels it to `authority` through `hop`:15008.
fn originator(papers: &Minted, hop: &str, authority: &str, peer: &str) -> Value {
    let mut tunnel = cluster("tunnel", hop, 15008);
    if let Some(fields) = tunnel.as_object_mut() {
        fields.insert("transport_socket".to_owned(), tls("Upstream", papers, peer));
        let options = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
        fields.insert("typed_extension_protocol_options".to_owned(), options);
    }
    let proxy = json!({
        "name": "tcp",
        "typed_config": {
            "@type": format!("{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "tunnel",
            "cluster": "tunnel",
            "tunneling_config": { "hostname": authority },
        },
    });
    json!({ "static_resources": {
        "listeners": [{ "name": "in", "address": address("0.0.0.0", COLLECT),
            "filter_chains": [{ "filters": [proxy] }] }],
        "clusters": [tunnel],
    }})
}

/// Takes tunnels on 15008 and hands the bytes of those for `authority` (`*` for all) to an application.
fn terminator(papers: &Minted, peer: &str, authority: &str, application: &str) -> Value {
    let upgrade = json!([{ "upgrade_type": "CONNECT" }]);
    let route = json!({
        "match": { "connect_matcher": {} },
        "route": { "cluster": "app",
            "upgrade_configs": [{ "upgrade_type": "CONNECT", "connect_config": {} }] },
    });
    let http = json!({
        "name": "http",
        "typed_config": {
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "tunnel",
            "codec_type": "HTTP2",
            "http2_protocol_options": { "allow_connect": true },
            "upgrade_configs": upgrade,
            "route_config": { "virtual_hosts": [
                { "name": "all", "domains": [authority], "routes": [route] } ] },
            "http_filters": [{ "name": "router", "typed_config":
                { "@type": format!("{TYPES}.filters.http.router.v3.Router") } }],
        },
    });
    json!({ "static_resources": {
        "listeners": [{ "name": "tunnel", "address": address("0.0.0.0", 15008),
            "filter_chains": [{ "filters": [http],
                "transport_socket": tls("Downstream", papers, peer) }] }],
        "clusters": [cluster("app", application, COLLECT)],
    }})
}

/// A pod that runs Envoy with a configuration, ready when it listens on `port`, and the journeys'
/// server where that is wanted.
fn start(world: &World, name: &str, config: &Value, port: u16, with_server: bool) -> Result<()> {
    let file = world.sandbox.place().path().join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec(config)?)?;
    let envoy = envoy()?;
    let program = std::env::current_exe()?;
    let server = if with_server {
        format!("    - name: app\n      image: journey\n      command: [{program:?}, app, serve]\n")
    } else {
        String::new()
    };
    world.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: gate\n  labels:\n    app: {name}\n    \
         networking.istio.io/tunnel: http\nspec:\n  nodeName: node-2\n  serviceAccountName: envoy\n  \
         containers:\n    - name: envoy\n      image: envoy\n      command: [{envoy:?}, \
         --disable-hot-restart, --concurrency, '1', -c, {file:?}]\n      readinessProbe:\n        \
         tcpSocket:\n          port: {port}\n        periodSeconds: 1\n{server}"
    ))?;
    world.wait(&[&format!("gate/{name}")], false)
}

fn papers(world: &World) -> Result<Minted> {
    world.mint(
        Signer::Mesh,
        "envoy",
        &["spiffe://cluster.local/ns/gate/sa/envoy"],
    )
}

fn prepare(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("gate", false)?;
    let pod = Pod {
        name: "talk/app",
        node: "node-1",
        account: "app",
        labels: &[],
        arguments: &["serve"],
    };
    world.pod(&pod)?;
    world.wait(&["talk/app"], true)
}

const APP: &str = "spiffe://cluster.local/ns/talk/sa/app";

fn originates() -> Result<()> {
    let world = World::start("envoy-out")?;
    let outcome = tunnel_in(&world);
    world.finish(outcome)
}

fn tunnel_in(world: &World) -> Result<()> {
    prepare(world)?;
    let app = world.address("talk/app")?;
    let authority = format!("{app}:{COLLECT}");
    let config = originator(&papers(world)?, &app.to_string(), &authority, APP);
    start(world, "envoy", &config, COLLECT, false)?;
    digests(&world.client(
        "gate/envoy",
        "127.0.0.1".parse()?,
        &Task::Bulk {
            streams: 4,
            bytes: 2_000_003,
        },
    )?)?;
    let identity = "spiffe://cluster.local/ns/gate/sa/envoy";
    world.logged(
        "ztunnel/node-1",
        &[
            "inbound",
            &format!("src.identity=\"{identity}\""),
            &authority,
        ],
    )?;
    Ok(())
}

fn terminates() -> Result<()> {
    let world = World::start("envoy-in")?;
    let outcome = tunnel_out(&world);
    world.finish(outcome)
}

fn tunnel_out(world: &World) -> Result<()> {
    prepare(world)?;
    let config = terminator(&papers(world)?, APP, "*", "127.0.0.1");
    start(world, "envoy", &config, TUNNEL, true)?;
    let envoy = world.address("gate/envoy")?;
    digests(&world.client(
        "talk/app",
        envoy,
        &Task::Bulk {
            streams: 4,
            bytes: 2_000_003,
        },
    )?)?;
    let identity = "dst.identity=\"spiffe://cluster.local/ns/gate/sa/envoy\"";
    world.logged(
        "ztunnel/node-1",
        &["outbound", identity, &format!("{envoy}:{COLLECT}")],
    )?;
    Ok(())
}

fn waypoint() -> Result<()> {
    let world = World::start("waypoint")?;
    let outcome = through_a_waypoint(&world);
    world.finish(outcome)
}

fn through_a_waypoint(world: &World) -> Result<()> {
    prepare(world)?;
    let web = Pod {
        name: "talk/web",
        node: "node-2",
        account: "web",
        labels: &[("app", "web")],
        arguments: &["serve"],
    };
    world.pod(&web)?;
    world.wait(&["talk/web"], true)?;
    let web = world.address("talk/web")?;
    let labels = "    istio.io/use-waypoint: envoy\n    istio.io/use-waypoint-namespace: gate\n";
    let address = service(world, "talk/web", labels, COLLECT)?;
    service(world, "gate/envoy", "    for: waypoints\n", TUNNEL)?;
    let authority = format!("{address}:{COLLECT}");

    // It is asked for, and nobody is there.
    eventually("node-1 knows of the waypoint", PATIENCE, || {
        let dump = world.page(&Target::Node("node-1".to_owned()), DUMP)?;
        let services = dump.get("services").and_then(Value::as_array);
        let services = services.context("no services")?;
        let is_it = |it: &&Value| {
            let has = |name: &str| it.get(name).filter(|value| !value.is_null());
            has("name").is_some_and(|name| name == "web") && has("waypoint").is_some()
        };
        Ok(services.iter().find(is_it).map(drop))
    })?;
    refused(world, address, 1)?;

    let config = terminator(&papers(world)?, APP, &authority, &web.to_string());
    start(world, "envoy", &config, TUNNEL, false)?;
    let envoy = world.address("gate/envoy")?;
    let task = Task::Bulk {
        streams: 4,
        bytes: 2_000_003,
    };
    eventually("the waypoint serves", PATIENCE, || {
        let seen = world.client("talk/app", address, &task);
        Ok(seen.ok().filter(|it| matches!(it, Seen::Digests(_))))
    })
    .and_then(|seen| digests(&seen))?;
    let (hop, asked) = (
        format!("dst.addr={envoy}:{TUNNEL} "),
        format!("dst.hbone_addr={authority} "),
    );
    let who = "dst.identity=\"spiffe://cluster.local/ns/gate/sa/envoy\"";
    let what = "dst.service=\"web.talk.svc.cluster.local\"";
    let words = ["connection complete", "outbound", &hop, &asked, who, what];
    world.logged("ztunnel/node-1", &words)?;
    // The application's proxy sees the waypoint call, not the client.
    let (from, to) = (
        format!("src.addr={envoy}:"),
        format!("dst.addr={web}:{COLLECT} "),
    );
    let words = ["connection complete", "inbound", &from, &to];
    world.logged("ztunnel/node-2", &words)?;

    // The waypoint of a service does not stand before its pods' own addresses.
    digests(&world.client("talk/app", web, &task)?)?;

    let before = count_refused(world)?;
    world.sandbox.delete("Pod", "gate", "envoy")?;
    eventually("the waypoint is gone", PATIENCE, || {
        Ok(world.status("gate/envoy").is_err().then_some(()))
    })?;
    refused(world, address, before + 1)
}

/// A service of the pods that are called like it, and its address.
fn service(world: &World, name: &str, labels: &str, port: u16) -> Result<std::net::IpAddr> {
    let (namespace, app) = name.split_once('/').context("namespace/name")?;
    world.apply(&format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: {app}\n  namespace: {namespace}\n  labels:\n\
         {labels}spec:\n  selector:\n    app: {app}\n  ports:\n    - name: tcp\n      port: {port}\n"
    ))?;
    eventually(&format!("{name} has an address"), PATIENCE, || {
        let services = world.sandbox.status()?.services;
        Ok(services.get(name).and_then(|it| it.first()?.parse().ok()))
    })
}

const UNAVAILABLE: [&str; 2] = ["outbound", "reason=\"waypoint_unavailable\""];

fn count_refused(world: &World) -> Result<usize> {
    let log = fs::read_to_string(world.log("ztunnel/node-1")?)?;
    let is_one = |line: &&str| UNAVAILABLE.iter().all(|word| line.contains(word));
    Ok(log.lines().filter(is_one).count())
}

/// A call of the service is held, and then refused: the application hears nothing of it.
fn refused(world: &World, address: std::net::IpAddr, number: usize) -> Result<()> {
    let inbound = |world: &World| -> Result<usize> {
        let log = fs::read_to_string(world.log("ztunnel/node-2")?)?;
        Ok(log.lines().filter(|line| line.contains("inbound")).count())
    };
    let before = inbound(world)?;
    let mut calls = 0;
    eventually(
        "a call is refused for want of its waypoint",
        PATIENCE,
        || {
            calls += 1;
            let seen = world.client("talk/app", address, &Task::ExpectRefusal { port: COLLECT })?;
            ensure(matches!(&seen, Seen::Ended { received: 0, .. }), || {
                format!("{seen:?}")
            })?;
            Ok((count_refused(world)? >= number).then_some(()))
        },
    )?;
    let line = world.logged("ztunnel/node-1", &UNAVAILABLE)?;
    let held = line
        .split("duration=\"")
        .nth(1)
        .and_then(|it| it.split("ms").next());
    let held: u64 = held.context("no duration")?.parse()?;
    ensure((5000..10_000).contains(&held), || line.clone())?;
    let after = inbound(world)?;
    ensure(after == before, || {
        format!("{} of {calls} calls reached the pod", after - before)
    })
}

fn digests(seen: &Seen) -> Result<()> {
    let Seen::Digests(pairs) = seen else {
        bail!("it ended early: {seen:?}")
    };
    ensure(pairs.len() == 4, || format!("{} of 4 streams", pairs.len()))?;
    for (sent, got) in pairs {
        ensure(sent == got && sent.bytes == 2_000_003, || {
            format!("sent {sent:?}, got {got:?}")
        })?;
    }
    Ok(())
}
