//! Steps about who may come in: strict mutual TLS, policies, and what an edit does to live connections.

use std::time::Duration;

use anyhow::Result;

use super::Observed;
use super::cluster::{Cluster, WEB_PORT, url};
use super::observe::{Logs, wait_until};
use super::repeat::Repeat;

/// Longest time a policy may take to be in force.
const IN_FORCE: Duration = Duration::from_secs(10);
/// Where the server of these steps runs.
const SERVER: &str = "ztunnel/node-2";

const STRICT: &str = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: default\n  \
                      namespace: shop\nspec:\n  mtls:\n    mode: STRICT\n";

/// Admits one caller to the web servers.
fn only(caller: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: web\n  namespace: shop\n\
         spec:\n  selector:\n    matchLabels:\n      app: web\n  action: ALLOW\n  rules:\n    - from:\n        \
         - source:\n            principals:\n              - cluster.local/ns/shop/sa/{caller}\n"
    )
}

/// Refuses everybody, and only says so.
const DRY_RUN: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: nobody\n  \
                       namespace: shop\n  annotations:\n    istio.io/dry-run: \"true\"\nspec:\n  action: DENY\n  rules:\n    - {}\n";

/// Plain text is refused, mutual TLS is not.
pub(super) fn strict(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let server = url(address, WEB_PORT, "/strictly");
    cluster.page("village/neighbour", &server)?;
    cluster.sandbox().apply(STRICT)?;
    let error = refused(cluster, "village/neighbour", &server)?;
    let page = cluster.page("shop/customer", &server)?;
    let ok = page.pod == "web-2" && error.contains("static_strict");
    let text = format!(
        "village/neighbour is refused in plain text: policy_denied, {error:?}; {} still answers shop/customer",
        page.pod
    );
    Ok(Observed::new(ok, text))
}

/// One identity is admitted, another refused with a reason.
pub(super) fn allow(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let server = url(address, WEB_PORT, "/for-customers");
    cluster.page("shop/web-1", &server)?;
    cluster.sandbox().apply(&only("customer"))?;
    let error = refused(cluster, "shop/web-1", &server)?;
    let page = cluster.page("shop/customer", &server)?;
    let text = format!(
        "sa/customer is answered by {}; sa/web is refused: policy_denied, {error:?}",
        page.pod
    );
    let ok = page.pod == "web-2" && error.contains("none allowed");
    Ok(Observed::new(ok, text))
}

/// Asks until a request is refused on arrival, and gives the proxy's words. One that was under way when the policy came
/// ends otherwise.
fn refused(cluster: &Cluster, from: &str, server: &str) -> Result<String> {
    let (_, name) = from.split_once('/').unwrap_or_default();
    let source = format!("src.workload=\"{name}\"");
    let words = ["reason=\"policy_denied\"", "inbound", &source];
    let line = wait_until("the request is refused", IN_FORCE, || {
        match cluster.page(from, server) {
            Ok(_) => Ok(None),
            Err(_) => Logs::of(cluster.sandbox())?.present(SERVER, &words),
        }
    })?;
    Ok(Logs::value(&line, "error").unwrap_or_default().to_owned())
}

/// A policy that would refuse everybody reports and refuses nobody.
pub(super) fn dry_run(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let server = url(address, WEB_PORT, "/tried-out");
    cluster.sandbox().apply(DRY_RUN)?;
    let line = wait_until("the proxy reports", IN_FORCE, || {
        cluster.page("shop/customer", &server)?;
        Logs::of(cluster.sandbox())?.present(SERVER, &["dry-run", "shop/nobody"])
    })?;
    let page = cluster.page("shop/customer", &server)?;
    cluster
        .sandbox()
        .delete("authorizationpolicy", "shop", "nobody")?;
    let text = format!(
        "{} still answers; the proxy says: {}",
        page.pod,
        line.split('\t').skip(2).collect::<Vec<_>>().join(" ")
    );
    Ok(Observed::new(page.pod == "web-2", text))
}

/// A connection that goes on ends when a policy no longer admits it.
pub(super) fn edit(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let talk = Repeat::start(
        cluster,
        "shop/customer",
        &url(address, WEB_PORT, "/on-and-on"),
    )?;
    cluster.sandbox().apply(&only("somebody-else"))?;
    let seen = talk.ended()?;
    let words = ["reason=\"policy_changed\"", "inbound"];
    Logs::of(cluster.sandbox())?.line(SERVER, &words)?;
    cluster.sandbox().apply(&only("customer"))?;
    let server = url(address, WEB_PORT, "/again");
    wait_until("the customer is admitted again", IN_FORCE, || {
        Ok(cluster.page("shop/customer", &server).ok())
    })?;
    let text = format!(
        "after {} answers over one connection the edit cut it (policy_changed); edited back, the customer is answered",
        seen.answers
    );
    Ok(Observed::new(seen.was_cut && seen.answers > 0, text))
}
