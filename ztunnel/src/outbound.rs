//! Recipe of the outbound path: accept -> resolve -> name -> connect -> relay -> record.
//! Next hop: `mesh::hbone::pool` and the other proxy's `inbound`, or the destination itself.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use mesh::flow::{Direction, EndsFlow, Reason};
use mesh::lifecycle::{drain, task};
use mesh::state::WorkloadView;
use tokio::net::{TcpListener, TcpStream};

use crate::carry::{abort, carry, given_up};
use crate::connections::{Asked, Entry, Facts, Tunnel};
use crate::metrics::labels::Who;
use crate::pod::{Attempt, Pod};
use crate::record::{Draft, baggage};

pub mod accept;
pub mod name;
pub mod resolve;
pub mod connect;

use accept::Accepted;
use connect::{Caller, Stream};
use resolve::{Answer, Inquiry, NextHop, Route, Way};

/// Takes the pod's captured connections until the drain begins; each is a task of its own.
pub async fn serve(pod: Rc<Pod>, listener: TcpListener, drain: drain::Watch) {
    let keep_alive = pod.shared.config.doors.keep_alive;
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener, &keep_alive) => match accepted {
                Ok((stream, source)) => {
                    let (pod, drain, hold) = (Rc::clone(&pod), drain.clone(), drain.hold());
                    task::spawn_local("outbound connection", async move {
                        connection(&pod, stream, source, drain).await;
                        drop(hold);
                    });
                }
                Err(error) => {
                    tracing::error!(pod = &*pod.uid, %error, "outbound door is broken");
                    return;
                }
            },
        }
    }
}

/// One captured connection from accept to record.
async fn connection(pod: &Pod, stream: TcpStream, source: SocketAddr, drain: drain::Watch) {
    let _socket = pod.shared.metrics.table.socket(Direction::Outbound);
    let mut draft = Draft::open(Direction::Outbound, source, &pod.shared.metrics);
    // Getting to a stream takes more room than carrying its bytes: boxed, it is given back here.
    let opened = tokio::select! {
        biased;
        why = Box::pin(given_up(&stream, drain)) => Err(Failed::Early(why)),
        opened = Box::pin(open(pod, &stream, source, &mut draft)) => opened,
    };
    match opened {
        Ok((Stream::Plain(hop), entry)) => carry(pod, stream, hop, entry, draft).await,
        Ok((Stream::Tunnel(hop), entry)) => carry(pod, stream, hop, entry, draft).await,
        Err(failed) => {
            abort(stream);
            draft.fail(&failed);
        }
    }
}

/// Why a captured connection got nowhere.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// It makes no sense, leads nowhere, or something it needs has not arrived.
    #[error("not sent on: {}", .0.word())]
    Early(Reason),
    /// The next hop's address could not be found.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// The next hop could not be opened.
    #[error(transparent)]
    Connect(#[from] connect::Error),
}

impl EndsFlow for Failed {
    fn reason(&self) -> Reason {
        match self {
            Failed::Early(reason) => *reason,
            Failed::Name(error) => error.reason(),
            Failed::Connect(error) => error.reason(),
        }
    }
}

/// From a captured connection to the stream of its next hop, noted in the table.
async fn open(
    pod: &Pod,
    stream: &TcpStream,
    source: SocketAddr,
    draft: &mut Draft,
) -> Result<(Stream, Entry), Failed> {
    let accepted = accept::destination(stream, source).map_err(Failed::Early)?;
    let random = rand::random();
    let (route, caller) = resolve(pod, &accepted, random, draft)
        .await
        .map_err(Failed::Early)?;
    let way = name::settle(pod, route, accepted.destination.ip(), random).await?;
    let (destination, hop) = match &way {
        Way::Plain(destination) => (*destination, None),
        Way::Tunnel { hop, authority, .. } => (*authority, Some(*hop)),
    };
    let connected = connect::open(pod, way, caller).await?;
    if let Some(peer) = &connected.peer {
        draft.destination.identity = Some(peer.identity.clone());
        draft.tunnel_authority = Some(destination.to_string().into());
    }
    draft.destination.address = Some(hop.unwrap_or(destination));
    let entry = pod.connections.add(Facts {
        direction: Direction::Outbound,
        source,
        asked: Asked::Address(accepted.destination),
        destination,
        tunnel: hop
            .zip(connected.peer)
            .map(|(hop, peer)| Tunnel { hop, peer }),
    });
    Ok((connected.stream, entry))
}

/// Finds the next hop, waiting for what the controller still owes us, and notes whom it leads to.
async fn resolve(
    pod: &Pod,
    accepted: &Accepted,
    random: u64,
    draft: &mut Draft,
) -> Result<(Route, Caller), Reason> {
    draft.destination.address = Some(accepted.destination);
    let outcome = pod.ask(|snapshot, answered| {
        let Some(own) = pod.own_record(snapshot) else {
            return Attempt::Later(Reason::WorkloadUnknown);
        };
        let inquiry = Inquiry {
            own,
            source_ip: accepted.source.ip(),
            destination: accepted.destination,
            was_redirected: accepted.was_redirected,
            random,
            doors: &pod.shared.config.doors,
            answered,
        };
        let not_now = match resolve::resolve(snapshot, &inquiry) {
            Answer::Go(hop) => {
                if let Route::Named { host, .. } = &hop.route {
                    let who = Who::of(own, Some(own.identity().clone()));
                    pod.shared.metrics.names.asked(who, Arc::clone(host));
                }
                let caller = caller(own, accepted, &hop, draft);
                return Attempt::Answer(Ok((hop.route, caller)));
            }
            Answer::Hold(why) => Attempt::Later(why),
            Answer::Ask(name) => Attempt::Ask(name),
            Answer::Refuse(why) => Attempt::Answer(Err(why)),
        };
        // Whoever reads of a refusal wants to know who asked for what.
        let (workload, service) = resolve::addressed(snapshot, &inquiry);
        draft.source_is(accepted.source, Some(own), None);
        draft.destination_is(Some(accepted.destination), workload, None);
        draft.service_is(service);
        not_now
    });
    outcome.await?
}

/// Notes whom a hop leads to, and says who calls.
fn caller(
    own: WorkloadView<'_>,
    accepted: &Accepted,
    hop: &NextHop<'_>,
    draft: &mut Draft,
) -> Caller {
    let proven = hop.route.is_tunnel().then(|| own.identity().clone());
    draft.source_is(accepted.source, Some(own), proven);
    draft.destination_is(Some(accepted.destination), hop.workload, None);
    draft.service_is(hop.service);
    Caller {
        identity: own.identity().clone(),
        source: accepted.source,
        service: draft.service.clone(),
        baggage: baggage(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Size of what `make` would make.
    fn size_of_future<F: Future>(
        _: impl FnOnce(&'static Pod, TcpStream, SocketAddr, drain::Watch) -> F,
    ) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_a_small_task() {
        let size = size_of_future(connection);
        assert!(size <= 1280, "{size} bytes for each open connection");
    }
}
