//! Pure. TLSRoute and TCPRoute.

use mesh::model::http::{TcpRule, TlsRule};
use objects::gateway_api::opaque_route::OpaqueRule;
use objects::gateway_api::{TcpRoute, TlsRoute};
use objects::raw::Path;

use super::Written;
use super::backends::{self, Wanted};
use super::destinations::Destinations;
use super::entry::{origin, path_of};
use super::notes::Notes;
use mesh::model::http::Backend;

/// One rule per server name, so that they can be put in order by it.
pub(super) fn tls(route: &TlsRoute, to: &mut Destinations<'_>, notes: &mut Notes) -> Vec<TlsRule> {
    let mut made = Vec::new();
    for (index, rule) in route.spec.rules.iter().enumerate() {
        let backends = backends_of(rule, index, &route.metadata.namespace, to, notes);
        let one = |server_names| TlsRule {
            origin: origin(Written::Tls(route), index, rule.name.as_deref()),
            server_names,
            backends: backends.clone(),
        };
        if route.spec.hostnames.is_empty() {
            made.push(one(Vec::new()));
        }
        let names = route.spec.hostnames.iter();
        made.extend(names.map(|name| one(vec![name.to_ascii_lowercase().into()])));
    }
    made
}

pub(super) fn tcp(route: &TcpRoute, to: &mut Destinations<'_>, notes: &mut Notes) -> Vec<TcpRule> {
    let rules = route.spec.rules.iter().enumerate();
    rules
        .map(|(index, rule)| TcpRule {
            origin: origin(Written::Tcp(route), index, rule.name.as_deref()),
            backends: backends_of(rule, index, &route.metadata.namespace, to, notes),
        })
        .collect()
}

fn backends_of(
    rule: &OpaqueRule,
    index: usize,
    namespace: &str,
    to: &mut Destinations<'_>,
    notes: &mut Notes,
) -> Vec<Backend> {
    let path: Path = path_of(index);
    let wanted = Wanted {
        namespace,
        path: &path,
        effect: "its share of the connections is refused",
    };
    backends::read(&rule.backend_refs, &wanted, to, notes)
}
