//! Cluster DNS: a small responder for `<service>.<namespace>.svc.cluster.local`. It asks nobody: nothing leaves the machine.

mod answer;
mod message;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::network::addresses::{CONTROL_PLANE_V4, CONTROL_PLANE_V6, DNS_PORT};
use crate::network::links::has_ipv6;

/// Longest query over UDP that is read; anything longer is no question of ours.
const LONGEST_QUERY: usize = 1232;
/// Connections served at the same time.
const MOST_CONNECTIONS: usize = 64;
const IDLE: Duration = Duration::from_secs(5);

/// The sockets of the responder, in the control plane's namespace.
pub(crate) struct Sockets {
    datagrams: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
}

/// Binds all sockets; the control plane's addresses must be there.
pub(crate) async fn bind() -> io::Result<Sockets> {
    let (mut datagrams, mut listeners) = (Vec::new(), Vec::new());
    let v6 = has_ipv6().then_some(IpAddr::V6(CONTROL_PLANE_V6));
    for address in [IpAddr::V4(CONTROL_PLANE_V4)].into_iter().chain(v6) {
        let address = SocketAddr::new(address, DNS_PORT);
        datagrams.push(UdpSocket::bind(address).await?);
        listeners.push(TcpListener::bind(address).await?);
    }
    Ok(Sockets {
        datagrams,
        listeners,
    })
}

/// Answers in tasks of their own until the sandbox ends.
pub(crate) fn serve(sockets: Sockets, cluster: &Cluster) {
    for socket in sockets.datagrams {
        let cluster = cluster.clone();
        task::spawn(
            "dns over udp",
            async move { datagrams(&socket, &cluster).await },
        );
    }
    for listener in sockets.listeners {
        let cluster = cluster.clone();
        task::spawn("dns over tcp", async move {
            connections(&listener, cluster).await
        });
    }
}

async fn datagrams(socket: &UdpSocket, cluster: &Cluster) {
    let mut query = vec![0; LONGEST_QUERY];
    loop {
        let (length, peer) = match socket.recv_from(&mut query).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "a DNS datagram could not be received");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let query = query.get(..length).unwrap_or_default();
        if let Some(reply) = answer::reply(query, &cluster.view(), Some(message::LONGEST_DATAGRAM))
        {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

async fn connections(listener: &TcpListener, cluster: Cluster) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let cluster = cluster.clone();
        task::spawn("dns connection", async move {
            let _ = connection(stream, &cluster).await;
            drop(place);
        });
    }
}

async fn connection(mut stream: TcpStream, cluster: &Cluster) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut query = vec![0; length.into()];
        timeout(IDLE, stream.read_exact(&mut query)).await??;
        let Some(reply) = answer::reply(&query, &cluster.view(), None) else {
            return Ok(());
        };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        let message = [&length.to_be_bytes(), reply.as_slice()].concat();
        // One that reads nothing must not keep its place.
        timeout(IDLE, stream.write_all(&message)).await??;
    }
}
