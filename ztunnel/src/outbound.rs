//! Recipe of the outbound path: accept -> resolve -> connect -> relay -> record.
//! Next hop: `mesh::hbone::pool` and the other proxy's `inbound`, or the destination itself.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use mesh::flow::{Direction, Reason};
use mesh::lifecycle::{drain, task};
use tokio::net::{TcpListener, TcpStream};

use crate::carry::{abort, carry};
use crate::connections::{Asked, Facts, Tunnel};
use crate::pod::{Attempt, Pod};
use crate::record::{Draft, baggage, party};

pub mod accept;
pub mod resolve;
pub mod connect;

use accept::Accepted;
use connect::{Call, Stream};
use resolve::{Answer, Inquiry, Way};

/// Takes the pod's captured connections until the drain begins; each is a task of its own.
pub async fn serve(pod: Rc<Pod>, listener: TcpListener, drain: drain::Watch) {
    let draining = drain.draining();
    tokio::pin!(draining);
    loop {
        tokio::select! {
            () = &mut draining => return,
            accepted = accept::next(&listener) => match accepted {
                Ok((stream, source)) => {
                    let (pod, hold) = (Rc::clone(&pod), drain.hold());
                    task::spawn_local("outbound connection", async move {
                        connection(&pod, stream, source).await;
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
async fn connection(pod: &Pod, stream: TcpStream, source: SocketAddr) {
    let mut draft = Draft::open(Direction::Outbound, source, &pod.shared.metrics);
    let call = match accept::destination(&stream, source) {
        Ok(accepted) => resolve(pod, &accepted, &mut draft)
            .await
            .map(|call| (accepted, call)),
        Err(reason) => Err(reason),
    };
    let (accepted, call) = match call {
        Ok(call) => call,
        Err(reason) => {
            abort(stream);
            return draft.refuse(reason);
        }
    };
    let way = call.way.clone();
    let connected = match connect::open(pod, call).await {
        Ok(connected) => connected,
        Err(error) => {
            abort(stream);
            return draft.fail(&error);
        }
    };
    let (destination, hop) = match way {
        Way::Plain(destination) => (destination, None),
        Way::Tunnel { hop, authority, .. } => (authority, Some(hop)),
    };
    if let Some(peer) = &connected.peer {
        draft.destination.identity = Some(peer.identity.clone());
        draft.tunnel_authority = Some(destination.to_string().into());
    }
    draft.destination.address = Some(hop.unwrap_or(destination));
    let facts = Facts {
        direction: Direction::Outbound,
        source,
        asked: Asked::Address(accepted.destination),
        destination,
        tunnel: hop
            .zip(connected.peer)
            .map(|(hop, peer)| Tunnel { hop, peer }),
    };
    let entry = pod.connections.add(facts);
    match connected.stream {
        Stream::Plain(hop) => carry(pod, stream, hop, entry, draft).await,
        Stream::Tunnel(hop) => carry(pod, stream, hop, entry, draft).await,
    }
}

/// Finds the next hop, waiting for what the controller still owes us, and notes whom it leads to.
async fn resolve(pod: &Pod, accepted: &Accepted, draft: &mut Draft) -> Result<Call, Reason> {
    draft.destination.address = Some(accepted.destination);
    let random = rand::random();
    let outcome = pod.ask(|snapshot| {
        let own = match pod.own_record(snapshot) {
            Attempt::Answer(own) => own,
            Attempt::Later(why) => return Attempt::Later(why),
        };
        let inquiry = Inquiry {
            own,
            source_ip: accepted.source.ip(),
            destination: accepted.destination,
            was_redirected: accepted.was_redirected,
            random,
            doors: &pod.shared.config.doors,
        };
        let hop = match resolve::resolve(snapshot, &inquiry) {
            Answer::Go(hop) => hop,
            Answer::Hold(why) => return Attempt::Later(why),
            Answer::Ask(_) => return Attempt::Later(Reason::LookupTimeout),
            Answer::Refuse(why) => return Attempt::Answer(Err(why)),
        };
        let proven = matches!(hop.way, Way::Tunnel { .. }).then(|| own.identity().clone());
        draft.source = party(Some(accepted.source), Some(own), proven);
        draft.destination = party(Some(accepted.destination), hop.workload, None);
        draft.service = hop
            .service
            .map(|service| Arc::clone(&service.key().hostname));
        Attempt::Answer(Ok(Call {
            way: hop.way,
            identity: own.identity().clone(),
            source: accepted.source,
            service: draft.service.clone(),
            baggage: baggage(own),
        }))
    });
    outcome.await?
}
