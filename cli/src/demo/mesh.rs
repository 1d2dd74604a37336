//! Steps about pods in the mesh.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use sandbox::capture::parse::{TLS_1_3, group_name};

use super::Observed;
use super::cluster::{Cluster, Page, WEB_PORT, url};
use super::observe::{Logs, wait_until};
use super::tap::{Seen, Tap};

/// The namespace with the label that puts it in the mesh.
const ENROLLED: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    istio.io/dataplane-mode: ambient\n";

/// Longest time enrolment of running pods may take.
const ENROLMENT: Duration = Duration::from_secs(15);

/// Pods of the shop.
const SHOP: [&str; 3] = ["shop/customer", "shop/web-1", "shop/web-2"];

/// The label enrols pods that already run.
pub(super) fn enrol(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(ENROLLED)?;
    wait_until("the shop's pods are enrolled", ENROLMENT, || {
        Ok(SHOP
            .iter()
            .all(|pod| cluster.pod(pod).is_ok_and(|p| p.enrolled))
            .then_some(()))
    })?;
    wait_for_tunnel(cluster, "shop/customer", "shop/web-1")?;
    let outside = cluster.pod("village/neighbour")?.enrolled;
    let text = format!(
        "{} enrolled; village/neighbour is {}",
        SHOP.join(", "),
        inside(outside)
    );
    Ok(Observed::new(!outside, text))
}

/// Waits until requests from a pod to another go through a tunnel: both proxies have heard of both pods.
fn wait_for_tunnel(cluster: &Cluster, from: &str, to: &str) -> Result<()> {
    let server = cluster.address(to, false)?;
    wait_until("the proxies have heard of the pods", ENROLMENT, || {
        let tap = Tap::on(cluster.sandbox(), &[to])?;
        let answered = cluster
            .page(from, &url(server, WEB_PORT, "/are-you-there"))
            .is_ok();
        let plain = !tap.finish()?.links_with("/are-you-there").is_empty();
        Ok((answered && !plain).then_some(()))
    })
}

fn inside(enrolled: bool) -> &'static str {
    if enrolled { "in the mesh" } else { "not" }
}

/// One request from customer to web-2, which no tunnel has been opened to before, seen on both links.
pub(super) fn encrypted(cluster: &mut Cluster) -> Result<Observed> {
    let server = cluster.address("shop/web-2", false)?;
    let secret = "/nobody-reads-this-on-the-way";
    let tap = Tap::on(cluster.sandbox(), &SHOP)?;
    let page = cluster.page("shop/customer", &url(server, WEB_PORT, secret))?;
    let seen = tap.finish()?;
    let readable = seen.links_with(secret);
    let hello = seen.handshake("shop/customer", 15008);
    let version = hello.as_ref().map(|h| h.client.versions.contains(&TLS_1_3));
    let text = format!(
        "{} answered; ClientHello to 15008: {}; links on which the request is readable: {}",
        page.pod,
        match version {
            Some(true) => "TLS 1.3",
            Some(false) => "an older version",
            None => "none seen",
        },
        readable.len()
    );
    let ok = page.pod == "web-2" && version == Some(true) && readable.is_empty();
    cluster.keep_for_later(seen);
    Ok(Observed::new(ok, text))
}

/// The group both ends agreed on, from the ServerHello of the step before.
pub(super) fn key_exchange(cluster: &mut Cluster) -> Result<Observed> {
    let seen: &Seen = cluster
        .kept()
        .ok_or_else(|| anyhow!("nothing was captured"))?;
    let group = seen
        .handshake("shop/customer", 15008)
        .and_then(|h| h.server)
        .and_then(|server| server.group);
    let text = group.map_or_else(
        || "no group in a ServerHello".to_owned(),
        |g| format!("{} (0x{:04x}) in the ServerHello", group_name(g), g),
    );
    Ok(Observed::new(group == Some(X25519_MLKEM768), text))
}

/// Code point of the hybrid group (IANA TLS supported groups).
const X25519_MLKEM768: u16 = 0x11ec;

/// The identities that each proxy read from the certificate the other presented.
pub(super) fn identities(cluster: &mut Cluster) -> Result<Observed> {
    let server = cluster.address("shop/web-2", false)?;
    let tunnel = format!("{}", std::net::SocketAddr::new(server, WEB_PORT));
    let logs = Logs::of(cluster.sandbox())?;
    let server_saw = logs.field("ztunnel/node-2", "inbound", &tunnel, "src.identity")?;
    let client_saw = logs.field("ztunnel/node-1", "outbound", &tunnel, "dst.identity")?;
    let ok = server_saw == "spiffe://cluster.local/ns/shop/sa/customer"
        && client_saw == "spiffe://cluster.local/ns/shop/sa/web";
    let text = format!("the server's end was shown {server_saw}\nthe client's end {client_saw}");
    Ok(Observed::new(ok, text))
}

/// The address the server saw.
pub(super) fn source_address(cluster: &mut Cluster) -> Result<Observed> {
    saw_own_address(cluster, false)
}

/// The same over the pods' IPv6 addresses.
pub(super) fn dual_stack(cluster: &mut Cluster) -> Result<Observed> {
    saw_own_address(cluster, true)
}

fn saw_own_address(cluster: &Cluster, v6: bool) -> Result<Observed> {
    let server = cluster.address("shop/web-2", v6)?;
    let own = cluster.address("shop/customer", v6)?;
    let tap = Tap::on(cluster.sandbox(), &SHOP)?;
    let path = "/who-am-i";
    let page = cluster.page("shop/customer", &url(server, WEB_PORT, path))?;
    let readable = tap.finish()?.links_with(path).len();
    let text = format!(
        "the client is {own}, the server saw {}; readable on {readable} links",
        page.peer_address()
            .map_or_else(|| page.peer.clone(), |a| a.to_string())
    );
    Ok(Observed::new(
        page.peer_address() == Some(own) && readable == 0,
        text,
    ))
}

/// Enough requests that missing one of two endpoints would be a wonder (1 in 2^39).
const REQUESTS: usize = 40;

/// The service's address, with two endpoints behind it.
pub(super) fn service(cluster: &mut Cluster) -> Result<Observed> {
    let counts = spread(cluster, "/balanced")?;
    let ok = counts.keys().map(String::as_str).collect::<Vec<_>>() == ["web-1", "web-2"];
    Ok(Observed::new(
        ok,
        format!("{REQUESTS} requests: {}", in_words(&counts)),
    ))
}

/// Who answered how many requests to the service.
fn spread(cluster: &Cluster, path: &str) -> Result<BTreeMap<String, usize>> {
    let service = cluster.service("shop/web")?;
    let mut counts = BTreeMap::new();
    for _ in 0..REQUESTS {
        let Page { pod, .. } = cluster.page("shop/customer", &url(service, 80, path))?;
        *counts.entry(pod).or_default() += 1;
    }
    Ok(counts)
}

fn in_words(counts: &BTreeMap<String, usize>) -> String {
    counts
        .iter()
        .map(|(pod, n)| format!("{pod} {n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A third server, applied while everything runs.
pub(super) fn new_pod(cluster: &mut Cluster) -> Result<Observed> {
    cluster.add_web("web-3", "node-1")?;
    cluster.wait_ready("shop/web-3")?;
    wait_until("web-3 answers at the service", ENROLMENT, || {
        Ok(spread(cluster, "/newcomer")?
            .contains_key("web-3")
            .then_some(()))
    })?;
    let server = cluster.address("shop/web-3", false)?;
    let tap = Tap::on(cluster.sandbox(), &["shop/web-3"])?;
    let path = "/hello-newcomer";
    let page = cluster.page("shop/customer", &url(server, WEB_PORT, path))?;
    let readable = tap.finish()?.links_with(path).len();
    let enrolled = cluster.pod("shop/web-3")?.enrolled;
    let text = format!(
        "{} is {}, answers at the service and directly; readable on {readable} links",
        page.pod,
        inside(enrolled)
    );
    Ok(Observed::new(
        enrolled && readable == 0 && page.pod == "web-3",
        text,
    ))
}

/// The controller is killed and stays down; then it is started again.
pub(super) fn without_controller(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().kill_program("controller", true)?;
    let counts = spread(cluster, "/nobody-in-charge");
    let status = cluster.sandbox().status()?;
    let down = status
        .programs
        .iter()
        .any(|p| p.name == "controller" && p.pid.is_none());
    cluster.sandbox().start_program("controller")?;
    let counts = counts?;
    let answered: usize = counts.values().sum();
    let text = format!(
        "controller {}; {answered} of {REQUESTS} requests answered ({})",
        if down { "down" } else { "not down" },
        in_words(&counts)
    );
    Ok(Observed::new(down && answered == REQUESTS, text))
}
