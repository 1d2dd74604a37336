//! Connects to the application inside the pod, as the client: with the client's own source address.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mesh::flow::{EndsFlow, Reason};
use mesh::net::dial::{self, CONNECT_DEADLINE, DialOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::config::{Doors, OriginalSource};
use crate::dial::connect_reason;
use crate::netns::Namespace;

/// Whom to call, as whom, and what to say first.
#[derive(Debug)]
pub struct Delivery {
    /// The application.
    pub application: SocketAddr,
    /// The client's address.
    pub client: IpAddr,
    /// What stands in front of the client's bytes.
    pub header: Option<Vec<u8>>,
}

/// Why the application was not reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket could be made inside the pod.
    #[error("cannot make a socket inside the pod")]
    Socket(#[source] io::Error),
    /// The client's address may not be used, and the settings insist on it.
    #[error("cannot call the application from the client's address {client}")]
    Source {
        /// The client.
        client: IpAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The application did not take the connection.
    #[error("cannot reach the application")]
    Connect(#[from] dial::Error),
    /// The application did not take what stands in front of the client's bytes.
    #[error("cannot announce the client to the application")]
    Announce(#[source] io::Error),
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Socket(_) | Error::Source { .. } | Error::Announce(_) => Reason::ConnectFailed,
            Error::Connect(error) => connect_reason(error),
        }
    }
}

/// Opens a connection to the application inside the pod that looks as if the client had made it.
///
/// Where the kernel does not let us use the client's address, the pod's own is used, unless the
/// settings insist. Source of the rule: docs/compat.md#pod-sockets.
///
/// # Errors
/// [`Error`] says which step failed.
pub async fn connect(
    netns: &Namespace,
    doors: &Doors,
    delivery: &Delivery,
) -> Result<TcpStream, Error> {
    let destination = delivery.application;
    let socket = netns
        .within(|| make_socket(doors, destination, delivery.client))
        .map_err(Error::Socket)??;
    let connecting = dial::connect(socket, destination, CONNECT_DEADLINE, &doors.keep_alive);
    let mut stream = connecting.await?;
    if let Some(header) = &delivery.header {
        stream.write_all(header).await.map_err(Error::Announce)?;
    }
    Ok(stream)
}

fn make_socket(
    doors: &Doors,
    destination: SocketAddr,
    client: IpAddr,
) -> Result<std::net::TcpStream, Error> {
    let own = DialOptions {
        mark: Some(doors.mark),
        ..DialOptions::default()
    };
    if may_borrow(doors.original_source, destination.ip(), client) {
        let borrowed = DialOptions {
            source: Some(client),
            transparent: true,
            ..own
        };
        match dial::socket(destination, &borrowed) {
            Ok(socket) => return Ok(socket),
            Err(source) if doors.original_source == OriginalSource::Always => {
                return Err(Error::Source { client, source });
            }
            Err(error) => tracing::debug!(%client, %error, "calling from the pod's own address"),
        }
    }
    dial::socket(destination, &own).map_err(Error::Socket)
}

/// Whether the client's address makes sense on a connection to `destination`.
fn may_borrow(setting: OriginalSource, destination: IpAddr, client: IpAddr) -> bool {
    setting != OriginalSource::Never
        && client.is_ipv4() == destination.is_ipv4()
        && !destination.is_loopback()
        && !client.is_loopback()
        && !client.is_unspecified()
        && !client.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrows_only_addresses_that_can_be_a_client_of_the_same_family() {
        let v4: IpAddr = "10.0.0.1".parse().unwrap();
        let v6: IpAddr = "fd00::1".parse().unwrap();
        for (setting, client, expected) in [
            (OriginalSource::Auto, "10.0.0.2", true),
            (OriginalSource::Always, "10.0.0.2", true),
            (OriginalSource::Never, "10.0.0.2", false),
            (OriginalSource::Auto, "127.0.0.1", false),
            (OriginalSource::Auto, "0.0.0.0", false),
            (OriginalSource::Auto, "224.0.0.1", false),
            (OriginalSource::Auto, "fd00::2", false),
        ] {
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(
                may_borrow(setting, v4, client),
                expected,
                "{setting:?} {client}"
            );
        }
        let (home, client) = ([127, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(
            !may_borrow(OriginalSource::Always, home, client),
            "loopback"
        );
        assert!(may_borrow(
            OriginalSource::Auto,
            v6,
            "fd00::2".parse().unwrap()
        ));
    }
}
