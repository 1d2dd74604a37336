//! Out of the mesh through a waypoint: plain HTTP of a pod becomes TLS to a server that the mesh knows an address of.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use e2e::app::{text, vault};
use e2e::expect::eventually;
use e2e::mint::Signer;
use e2e::world::PATIENCE;
use sandbox::Target;
use sandbox::app::echo::Ask;

use super::{Shop, journey};
use crate::Journey;

pub(crate) const JOURNEYS: [Journey; 2] = [
    (
        "waypoint_a_pod_s_plain_request_reaches_a_server_outside_by_tls_where_an_authority_vouches_for_it",
        out,
    ),
    (
        "waypoint_any_host_of_a_domain_outside_is_found_by_the_name_that_is_asked_for",
        named,
    ),
];

const SERVER: &str = "spiffe://bank/vault";

/// A host outside at an address of its own, without endpoints: what the client dials is where it goes.
fn entry(address: IpAddr) -> String {
    let port = vault::PORT;
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: bank, namespace: shop}}\nspec:\n  \
         hosts: [bank.example]\n  addresses: [\"{address}\"]\n  resolution: NONE\n  ports:\n  \
         - {{number: {port}, name: http, protocol: HTTP}}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: bank, namespace: shop}}\n\
         spec:\n  targetRefs:\n  - {{group: networking.istio.io, kind: ServiceEntry, name: bank}}\n  validation:\n    \
         hostname: bank.example\n    subjectAltNames:\n    - {{type: URI, uri: \"{SERVER}\"}}\n    \
         caCertificateRefs:\n    - {{group: \"\", kind: ConfigMap, name: bank}}\n"
    )
}

/// Who vouches for it.
fn authority(pem: &str) -> String {
    let lines: Vec<_> = pem.lines().map(|it| format!("    {it}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bank, namespace: shop}}\ndata:\n  ca.crt: |\n{}",
        lines.concat()
    )
}

fn out() -> Result<()> {
    journey("wp-egress", |shop: &Shop| {
        let world = &shop.world;
        let nodes = world.sandbox.status()?.nodes;
        let node = nodes.into_iter().find(|it| it.name == "node-2");
        let address = node.and_then(|it| it.addresses.into_iter().find(|it| it.is_ipv4()));
        let address = address.context("node-2 has no address")?;
        let ours = world.mint(Signer::Stranger, "vault", &[SERVER])?;
        let other = world.mint(Signer::Namesake, "other", &[SERVER])?;
        let files = [&ours.certificate, &ours.key].map(|it| it.to_string_lossy());
        let [certificate, key] = &files;
        let _server = world.run_on("node-2", &["vault", certificate, key])?;

        let read = |path: &std::path::Path| std::fs::read_to_string(path);
        shop.apply(&authority(&read(&ours.root)?))?;
        shop.apply(&entry(address))?;
        let mut ask = Ask::get("http://bank.example/");
        ask.connect_to = Some(SocketAddr::new(address, vault::PORT));
        shop.becomes(super::CLIENT, &ask, "the vault answers", |it| {
            it.status == 200 && it.body == vault::TREASURE
        })?;
        // Plain text would be no answer there: the waypoint has spoken TLS. Nobody vouches for it any more.
        shop.apply(&authority(&read(&other.root)?))?;
        let refused = shop.answered_with(&ask, 503)?;
        let said = refused.body.contains("remote connection failure");
        crate::ensure(said, || format!("{refused:?}"))?;
        counted(shop, &["response_code=\"200\"", "response_flags=\"-\""])?;
        counted(
            shop,
            &["response_code=\"503\"", "response_flags=\"URX,UF\""],
        )
    })
}

fn named() -> Result<()> {
    journey("wp-domain", |shop: &Shop| {
        let world = &shop.world;
        let nodes = world.sandbox.status()?.nodes;
        let node = nodes.into_iter().find(|it| it.name == "node-2");
        let address = node.and_then(|it| it.addresses.into_iter().find(|it| it.is_ipv4()));
        let address = address.context("node-2 has no address")?;
        let _server = world.run_on("node-2", &["text", "found by name"])?;
        let port = text::PORT;
        shop.apply(&format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: river, namespace: shop}}\nspec:\n  \
             hosts: [\"*.river.example\"]\n  addresses: [240.9.9.9]\n  resolution: DYNAMIC_DNS\n  ports:\n  \
             - {{number: {port}, name: http, protocol: HTTP}}\n"
        ))?;
        // Who answers for names outside of the mesh is the waypoint's own affair.
        let pods = world.sandbox.status()?.pods;
        let gate = pods.into_iter().find(|it| it.pod.name.starts_with("gate-"));
        let gate = Target::Pod(gate.context("there is no waypoint")?.pod);
        let known = format!("echo '{address} api.river.example' >> /etc/hosts");
        let output = world.sandbox.exec(&gate, &["sh", "-c", &known])?;
        crate::ensure(output.exit.is_success(), || format!("{output:?}"))?;
        let asked = |host: &str| {
            let mut ask = Ask::get(&format!("http://{host}/"));
            ask.connect_to = Some(SocketAddr::from(([240, 9, 9, 9], port)));
            ask
        };
        shop.becomes(
            super::CLIENT,
            &asked("api.river.example"),
            "it is found",
            |it| it.status == 200 && it.body == "found by name",
        )?;
        shop.answered_with(&asked("api.lake.example"), 404)?;
        shop.answered_with(&asked("none.river.example"), 503)
            .map(drop)
    })
}

/// The waypoint has counted requests of the client to the host with these labels.
fn counted(shop: &Shop, labels: &[&str]) -> Result<()> {
    let pods = shop.world.sandbox.status()?.pods;
    let gate = pods.into_iter().find(|it| it.pod.name.starts_with("gate-"));
    let gate = Target::Pod(gate.context("there is no waypoint")?.pod);
    let always = [
        "istio_requests_total{",
        "source_workload=\"client\"",
        "destination_service=\"bank.example\"",
    ];
    eventually(&format!("{labels:?} are counted"), PATIENCE, || {
        let page = shop.world.text(&gate, "http://127.0.0.1:15020/metrics")?;
        let ours = page
            .lines()
            .filter(|line| always.iter().all(|it| line.contains(it)));
        let ours: Vec<_> = ours.collect();
        match ours
            .iter()
            .any(|line| labels.iter().all(|it| line.contains(it)))
        {
            true => Ok(Some(())),
            false => bail!("{ours:#?}"),
        }
    })
}
