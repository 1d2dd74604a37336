//! The step about certificates: renewed while bytes flow.

use std::time::Duration;

use anyhow::{Result, anyhow};
use sandbox::Target;

use super::Observed;
use super::cluster::{Cluster, WEB_PORT, url};
use super::observe::wait_until;
use super::repeat::Repeat;
use crate::look::{self, list, text};

/// Longest time until both ends have another certificate than before.
const RENEWED: Duration = Duration::from_secs(15);

/// Serial numbers at both ends change, and nothing is lost on the way.
pub(super) fn under_traffic(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let talk = Repeat::start(
        cluster,
        "shop/customer",
        &url(address, WEB_PORT, "/while-renewing"),
    )?;
    let serials = || -> Result<[String; 2]> {
        Ok([
            serial(cluster, "node-1", "sa/customer")?,
            serial(cluster, "node-2", "sa/web")?,
        ])
    };
    let before = serials()?;
    let after = wait_until("both ends have new certificates", RENEWED, || {
        let now = serials()?;
        let are_new = before.iter().zip(&now).all(|(old, new)| old != new);
        Ok(are_new.then_some(now))
    })?;
    // Also a connection that begins now is fine.
    let page = cluster.page("shop/customer", &url(address, WEB_PORT, "/renewed"))?;
    let seen = talk.stop()?;
    let [client, server] = after;
    let text = format!(
        "new serial numbers {client} and {server}; meanwhile {} answers over one connection, {} of them different, {}",
        seen.answers,
        seen.different,
        if seen.was_cut { "then cut" } else { "not cut" },
    );
    let ok = !seen.was_cut && seen.different == 0 && seen.answers > 0 && page.pod == "web-2";
    Ok(Observed::new(ok, text))
}

/// Serial number of the certificate that a node's proxy has for an identity.
fn serial(cluster: &Cluster, node: &str, identity: &str) -> Result<String> {
    let dump = look::json(
        cluster.sandbox(),
        &Target::Node(node.to_owned()),
        look::DUMP,
    )?;
    let found = list(&dump, "certificates")
        .iter()
        .find(|it| text(it, "identity").ends_with(identity));
    let chain = found.map(|it| list(it, "certChain")).unwrap_or_default();
    let leaf = chain.first().map(|leaf| text(leaf, "serialNumber"));
    leaf.map(str::to_owned)
        .ok_or_else(|| anyhow!("{node} has no certificate for {identity}"))
}
