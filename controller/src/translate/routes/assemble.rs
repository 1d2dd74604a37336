//! Pure. What several families of objects say about one port, joined into one list.
//!
//! Every family has its own order inside: VirtualServices that of their lists, the Gateway API's routes that of
//! precedence. Nothing is sorted across families: one stands before the other as a whole.

use mesh::model::http::{HttpEntry, HttpMatch, HttpRule, PortRoutes, TcpRule, TlsRule};

/// What one family of objects says about one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// HTTP entries in the family's order; their rules are numbered in [`Family::rules`].
    pub http: Vec<HttpEntry>,
    /// What they do.
    pub rules: Vec<HttpRule>,
    /// TLS routes in order.
    pub tls: Vec<TlsRule>,
    /// TCP routes in order.
    pub tcp: Vec<TcpRule>,
}

impl Family {
    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            http,
            rules,
            tls,
            tcp,
        } = self;
        http.is_empty() && rules.is_empty() && tls.is_empty() && tcp.is_empty()
    }
}

/// The routes of a port for clients of a namespace, or for all when that is empty: the families one after the other, each
/// up to its first entry that everything matches. `None` when no family says anything.
pub fn assemble(
    port: u16,
    client_namespace: &str,
    families: impl IntoIterator<Item = Family>,
) -> Option<PortRoutes> {
    let mut routes = PortRoutes {
        port,
        client_namespace: client_namespace.into(),
        ..PortRoutes::default()
    };
    let mut is_said = false;
    for family in families {
        is_said |= !family.is_empty();
        let Ok(before) = u32::try_from(routes.rules.len()) else {
            continue;
        };
        let last = family.http.iter().position(|it| is_catch_all(&it.matches));
        let count = last.map_or(family.http.len(), |at| at + 1);
        let entries = family.http.into_iter().take(count);
        routes.http.extend(entries.map(|entry| HttpEntry {
            rule: entry.rule.saturating_add(before),
            ..entry
        }));
        routes.rules.extend(family.rules);
        routes.tls.extend(family.tls);
        routes.tcp.extend(family.tcp);
    }
    is_said.then_some(routes)
}

/// Whether everything matches.
fn is_catch_all(matches: &HttpMatch) -> bool {
    *matches == HttpMatch::default()
}
