//! The middle of both paths: bytes flow while the connection stands in the table of live ones.

use std::time::Duration;

use mesh::flow::Reason;
use mesh::lifecycle::drain;
use mesh::relay::{self, Duplex};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::connections::Entry;
use crate::pod::Pod;
use crate::record::Draft;

/// Copies between the client's stream and the destination's until both are done, or somebody
/// decides that the connection has to end; then writes the record.
pub async fn carry<A: Duplex, B: Duplex>(
    pod: &Pod,
    client: A,
    destination: B,
    mut entry: Entry,
    mut draft: Box<Draft>,
) {
    let counters = entry.counters();
    draft.opened(&counters);
    tokio::select! {
        // A cut is said to be one even when it has torn the tunnel already.
        biased;
        cut = entry.closed() => {
            draft.cut(cut.reason, cut.origin, (counters.sent(), counters.received()));
        }
        outcome = relay::copy(client, destination, &counters, &pod.buffers) => {
            draft.finish(&outcome);
        }
    }
}

/// Resolves when nobody waits any more for a connection that is being opened: its client has reset
/// it, or the pod or this proxy has no time left. A client that has only finished sending waits on.
pub async fn given_up(client: &TcpStream, drain: drain::Watch) -> Reason {
    tokio::select! {
        () = drain.closing() => Reason::Drained,
        _ = client.ready(Interest::ERROR) => Reason::ClientReset,
    }
}

/// Ends a connection that never carried a byte with a reset, so that its client cannot take the
/// refusal for an empty answer.
pub fn abort(client: TcpStream) {
    // The socket may be dead already, which serves as well.
    let _ = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
}
