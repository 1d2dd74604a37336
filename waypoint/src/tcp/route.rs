//! Where an opaque connection goes.

use std::sync::Arc;

use super::Refused;
use crate::call::{Call, Target};
use crate::destinations::Destination;
use crate::routes::compile::{Port, Shares};

/// Where a connection goes: TLS routes by server name before TCP routes, else the service itself.
pub(super) fn destination(
    call: &Call,
    tls: Option<&Option<Box<str>>>,
) -> Result<Arc<Destination>, Refused> {
    let (key, port) = match &call.target {
        Target::Service { key, port, .. } => (key, port),
        Target::Workload { itself } => return Ok(Arc::clone(itself)),
    };
    let served = call.worker.shared.served.load();
    let bound = served.service(key).ok_or(Refused::NoRoute)?;
    let routes = bound.routes.as_ref().ok_or(Refused::NoRoute)?;
    let namespace = &call.link.peer.identity.namespace;
    let of_port = || routes.ports.iter().filter(|it| it.number == *port);
    let own =
        of_port().find(|it| !it.client_namespace.is_empty() && *it.client_namespace == **namespace);
    let found = own.or_else(|| of_port().find(|it| it.client_namespace.is_empty()));
    if let Some(shares) = found.and_then(|it| shares(it, tls)) {
        let share = shares.pick(rand::random()).ok_or(Refused::NoRoute)?;
        return share.destination.clone().ok_or(Refused::NoRoute);
    }
    if found.is_some_and(|it| !it.tls.is_empty() || !it.tcp.is_empty()) {
        return Err(Refused::NoRoute);
    }
    let own = routes.own.iter().find(|(number, _)| number == port);
    own.map(|(_, it)| Arc::clone(it)).ok_or(Refused::NoRoute)
}

/// Pure. The first rule that takes a connection.
fn shares<'a>(port: &'a Port, tls: Option<&Option<Box<str>>>) -> Option<&'a Shares> {
    if let Some(name) = tls {
        let name = name.as_deref().unwrap_or_default();
        let takes =
            |names: &[Arc<str>]| names.is_empty() || names.iter().any(|it| covers(it, name));
        if let Some((_, rule)) = port.tls.iter().find(|(names, _)| takes(names)) {
            return Some(&rule.backends);
        }
    }
    port.tcp.first().map(|rule| &rule.backends)
}

/// Whether a server name is `pattern`, or ends like one that begins with `*.`.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern.eq_ignore_ascii_case(name),
        Some("") => true,
        Some(end) => {
            let start = name.len().checked_sub(end.len());
            let tail = start.filter(|it| *it > 0).and_then(|it| name.get(it..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn server_names_match_whole_or_by_their_end() {
        for (pattern, name, expected) in [
            ("shop.org", "SHOP.org", true),
            ("shop.org", "a.shop.org", false),
            ("*.shop.org", "a.shop.org", true),
            ("*.shop.org", "a.b.shop.org", true),
            ("*.shop.org", "shop.org", false),
            ("*", "", true),
            ("shop.org", "", false),
        ] {
            assert_eq!(covers(pattern, name), expected, "{pattern} {name}");
        }
    }
}
