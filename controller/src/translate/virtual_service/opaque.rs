//! Pure. Routes of TLS that is not terminated, and of bytes.

use mesh::model::Origin;
use mesh::model::http::{TcpRule, TlsRule};
use objects::istio::VirtualService;
use objects::raw::Path;

use super::{Reader, Routes, Site, expand, forward, scope};

/// Adds those that can hold at a port.
pub(super) fn add(
    object: &VirtualService,
    site: &Site<'_>,
    port: u16,
    routes: &mut Routes,
    reader: &mut Reader<'_>,
) {
    let namespace = object.metadata.namespace.as_str();
    for (index, route) in object.spec.tls.iter().enumerate() {
        let Some(matches) = scope::tls(&route.r#match, site, port) else {
            continue;
        };
        let path = Path::of_keys(&["spec", "tls"]).at(index);
        let names = matches.iter().flat_map(|(_, it)| &it.sni_hosts);
        let server_names: Vec<_> = names.map(|it| it.as_str().into()).collect();
        if !server_names.is_empty() {
            let backends = forward::opaque(&route.route, namespace, &path.key("route"), reader);
            routes.tls.push(TlsRule {
                origin: origin(object, "tls", index),
                server_names,
                backends,
            });
        }
    }
    for (index, route) in object.spec.tcp.iter().enumerate() {
        let matches = scope::tcp(&route.r#match, site, port);
        if matches.is_some_and(|it| it.is_empty()) {
            continue;
        }
        let path = Path::of_keys(&["spec", "tcp"]).at(index).key("route");
        routes.tcp.push(TcpRule {
            origin: origin(object, "tcp", index),
            backends: forward::opaque(&route.route, namespace, &path, reader),
        });
    }
}

/// `tls-0`, `tcp-0`: these routes have no names.
fn origin(object: &VirtualService, kind: &str, index: usize) -> Origin {
    expand::origin(object, index, &format!("{kind}-{index}"))
}
