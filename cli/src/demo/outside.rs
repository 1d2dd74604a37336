//! Steps about pods that are not in the mesh.

use anyhow::Result;

use super::Observed;
use super::cluster::{Cluster, WEB_PORT, url};
use super::tap::Tap;

/// Before enrolment: the request's own words are on both pods' links.
pub(super) fn plain_before(cluster: &mut Cluster) -> Result<Observed> {
    let server = cluster.address("shop/web-2", false)?;
    let tap = Tap::on(cluster.sandbox(), &["shop/customer", "shop/web-2"])?;
    let secret = "/in-the-clear-before-enrolment";
    let page = cluster.page("shop/customer", &url(server, WEB_PORT, secret))?;
    let seen = tap.finish()?;
    let links = seen.links_with(secret);
    let text = format!(
        "{} answered; readable on the links of {}",
        page.pod,
        links.join(", ")
    );
    Ok(Observed::new(links.len() == 2 && page.pod == "web-2", text))
}

/// From the mesh to a pod outside it.
pub(super) fn reached(cluster: &mut Cluster) -> Result<Observed> {
    let neighbour = cluster.address("village/neighbour", false)?;
    let tap = Tap::on(cluster.sandbox(), &["village/neighbour"])?;
    let page = cluster.page("shop/customer", &url(neighbour, WEB_PORT, "/hello"))?;
    let plain = !tap.finish()?.links_with("/hello").is_empty();
    let how = if plain {
        "in plain TCP"
    } else {
        "not in plain TCP"
    };
    Ok(Observed::new(
        plain && page.pod == "neighbour",
        format!("{} answered, {how}", page.pod),
    ))
}

/// From a pod outside the mesh to one in it: to its address, and to the service.
pub(super) fn reaching(cluster: &mut Cluster) -> Result<Observed> {
    let server = cluster.address("shop/web-2", false)?;
    let direct = cluster.page("village/neighbour", &url(server, WEB_PORT, "/hello"))?;
    let service = cluster.service("shop/web")?;
    let balanced = cluster.page("village/neighbour", &url(service, 80, "/hello"))?;
    let own = cluster.address("village/neighbour", false)?;
    let ok = direct.pod == "web-2"
        && balanced.pod.starts_with("web-")
        && direct.peer_address() == Some(own);
    let text = format!(
        "{} answered at its address and saw {}; {} answered at the service",
        direct.pod, direct.peer, balanced.pod
    );
    Ok(Observed::new(ok, text))
}
