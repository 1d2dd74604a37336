//! Recipe of an opaque connection: route by server name or port -> endpoint -> relay.

use std::sync::Arc;
use std::time::Instant;

use mesh::relay::{self, Buffers, Counters, Duplex};
use mesh::telemetry::report;

use crate::balance::{LocalFailure, Outcome, Question};
use crate::bytes::Peeked;
use crate::call::{Call, Target};
use crate::destinations::Destination;
use crate::routes::compile::{Port, Shares};
use crate::upstream::ConnectError;

/// Why an opaque connection went nowhere.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// No route takes it, or it has no backend.
    #[error("no route takes it")]
    NoRoute,
    /// Nobody can take it.
    #[error("no healthy endpoint")]
    NoEndpoint,
    /// As many connections as the destination allows.
    #[error(transparent)]
    Overflow(#[from] crate::balance::Overflow),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// Carries opaque bytes. `tls`: TLS that is not terminated, with the server name it asks for.
pub async fn carry(call: &Call, stream: Peeked, tls: Option<Option<Box<str>>>) {
    if let Err(refused) = open(call, stream, tls).await {
        tracing::info!(
            authority = &*call.authority,
            error = report(&refused),
            "connection refused"
        );
    }
}

async fn open(call: &Call, stream: Peeked, tls: Option<Option<Box<str>>>) -> Result<(), Refused> {
    let destination = destination(call, tls)?;
    let cluster = &destination.cluster;
    let _permit = cluster.enter_connection()?;
    let mut random = rand::random::<u64>;
    let question = Question::new(Instant::now(), &mut random);
    let picked = cluster.pick(question).map_err(|_| Refused::NoEndpoint)?;
    let target = destination.target(&picked).ok_or(Refused::NoEndpoint)?;
    let dialer = call.worker.upstream.dialer();
    let way = &target.way;
    let failed = |error| {
        picked.report(Outcome::Local(LocalFailure::Connect), Instant::now());
        Refused::Connect(error)
    };
    if way.tls.is_some() || way.announced.is_some() {
        let opened = dialer.open(way, crate::upstream::Version::Http1).await;
        let (mut io, _) = opened.map_err(failed)?;
        picked.report(Outcome::Connected, Instant::now());
        let mut stream = stream;
        let carried = tokio::io::copy_bidirectional(&mut stream, &mut io).await;
        if let Err(error) = carried {
            tracing::debug!(error = report(&error), "connection ended");
        }
        return Ok(());
    }
    match &way.tunnel {
        None => {
            let upstream = dialer.reach(way).await.map_err(failed)?;
            picked.report(Outcome::Connected, Instant::now());
            relay(stream, upstream).await;
        }
        Some(through) => {
            let opened = dialer.tunnel(through, way.address).await.map_err(failed)?;
            picked.report(Outcome::Connected, Instant::now());
            relay(stream, opened.stream).await;
        }
    }
    Ok(())
}

async fn relay(client: Peeked, upstream: impl Duplex) {
    let outcome = relay::copy(client, upstream, &Counters::default(), &Buffers::new()).await;
    if let Err((side, end)) = outcome.ended {
        tracing::debug!(?side, error = report(&end), "connection ended");
    }
}

/// Where a connection goes: TLS routes by server name before TCP routes, else the service itself.
fn destination(call: &Call, tls: Option<Option<Box<str>>>) -> Result<Arc<Destination>, Refused> {
    let Target::Service { key, port, .. } = &call.target else {
        return Err(Refused::NoRoute);
    };
    let served = call.worker.shared.served.load();
    let bound = served.service(key).ok_or(Refused::NoRoute)?;
    let routes = bound.routes.as_ref().ok_or(Refused::NoRoute)?;
    let namespace = &call.link.peer.identity.namespace;
    let of_port = || routes.ports.iter().filter(|it| it.number == *port);
    let own =
        of_port().find(|it| !it.client_namespace.is_empty() && *it.client_namespace == **namespace);
    let found = own.or_else(|| of_port().find(|it| it.client_namespace.is_empty()));
    if let Some(shares) = found.and_then(|it| shares(it, tls.as_ref())) {
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
