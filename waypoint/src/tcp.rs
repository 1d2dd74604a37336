//! Recipe of an opaque connection: allowed? -> route by server name or port -> endpoint -> relay, judged again when
//! policies change -> told. Next hop: `upstream`.

mod judge;
mod route;
mod tell;

use std::time::Instant;

use mesh::relay::{self, Buffers, Duplex};
use mesh::telemetry::report;

use crate::balance::{LocalFailure, Outcome, Overflow, Question};
use crate::bytes::Peeked;
use crate::call::Call;
use crate::egress::Forbidden;
use crate::ending::Ending;
use crate::upstream::ConnectError;
use judge::{Denied, Judge};
use tell::Story;

/// Why an opaque connection went nowhere, or ended before its end.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// A policy does not admit it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// No route takes it, or it has no backend.
    #[error("no route takes it")]
    NoRoute,
    /// Nobody can take it.
    #[error("no healthy endpoint")]
    NoEndpoint,
    /// As many connections as the destination allows.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The client may not go there.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Refused {
    fn ending(&self) -> Ending {
        match self {
            Self::Denied(denied) => denied.ending,
            Self::NoRoute => Ending::NoRoute,
            Self::Forbidden(forbidden) if forbidden.is_unknown() => Ending::NoRoute,
            Self::NoEndpoint | Self::Forbidden(_) => Ending::NoHealthyEndpoint,
            Self::Overflow(_) => Ending::Overflow,
            Self::Connect(ConnectError::Deadline) => Ending::ConnectTimeout,
            Self::Connect(_) => Ending::ConnectFailed,
        }
    }
}

/// Carries opaque bytes. `tls`: TLS that is not terminated, with the server name it asks for.
pub async fn carry(call: &Call, stream: Peeked, tls: Option<Option<Box<str>>>) {
    let mut story = Story::begin(call, tls.as_ref().and_then(|it| it.as_deref()));
    let outcome = run(call, stream, tls.as_ref(), &mut story).await;
    if let Err(refused) = &outcome {
        let (peer, authority) = (&call.link.peer.identity, &*call.authority);
        tracing::info!(%peer, authority, error = report(refused), "connection refused");
    }
    story.end(outcome.as_ref().err());
}

async fn run(
    call: &Call,
    stream: Peeked,
    tls: Option<&Option<Box<str>>>,
    story: &mut Story,
) -> Result<(), Refused> {
    let judge = Judge::new(call, tls.and_then(|it| it.as_deref()));
    judge.admit().await?;
    let connection = open(call, stream, tls, story);
    tokio::select! {
        ended = Box::pin(connection) => ended,
        denied = judge.revoked() => Err(denied.into()),
    }
}

async fn open(
    call: &Call,
    stream: Peeked,
    tls: Option<&Option<Box<str>>>,
    story: &mut Story,
) -> Result<(), Refused> {
    let destination = route::destination(call, tls)?;
    let cluster = &destination.cluster;
    let _permit = cluster.enter_connection()?;
    let mut random = rand::random::<u64>;
    let question = Question::new(Instant::now(), &mut random);
    let picked = cluster.pick(question).map_err(|_| Refused::NoEndpoint)?;
    let target = destination.target(&picked).ok_or(Refused::NoEndpoint)?;
    let target = target.of(&call.authority, tls.and_then(|it| it.as_deref()))?;
    story.goes_to(&destination, &target);
    let dialer = call.worker.upstream.dialer();
    let way = &target.way;
    let failed = |error| {
        picked.report(Outcome::Local(LocalFailure::Connect), Instant::now());
        Refused::Connect(error)
    };
    let succeeded = || picked.report(Outcome::Connected, Instant::now());
    if way.tls.is_some() || way.announced.is_some() {
        let way = way.of(call.client_address(), call.dialled());
        let opened = dialer.open(&way, None).await;
        let (mut io, _) = opened.map_err(failed)?;
        succeeded();
        story.opened();
        let mut stream = stream;
        let carried = tokio::io::copy_bidirectional(&mut stream, &mut io).await;
        match carried {
            Ok((sent, received)) => story.carried(sent, received),
            Err(error) => tracing::debug!(error = report(&error), "connection ended"),
        }
        return Ok(());
    }
    match &way.tunnel {
        None => {
            let upstream = dialer.reach(way).await.map_err(failed)?;
            succeeded();
            relay(stream, upstream, story).await;
        }
        Some(through) => {
            let opened = dialer.tunnel(through, way.address).await.map_err(failed)?;
            succeeded();
            relay(stream, opened.stream, story).await;
        }
    }
    Ok(())
}

async fn relay(client: Peeked, upstream: impl Duplex, story: &mut Story) {
    let counters = story.opened();
    let outcome = relay::copy(client, upstream, counters, &Buffers::new()).await;
    if let Err((side, end)) = outcome.ended {
        tracing::debug!(?side, error = report(&end), "connection ended");
    }
}
