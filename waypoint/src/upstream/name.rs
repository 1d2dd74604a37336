//! Addresses of an endpoint that is known by a host name only, for every new connection.
//!
//! In: a name and a port. Out: its addresses, by the system's resolver, which keeps to `/etc/hosts` and the
//! search list of `/etc/resolv.conf`. Never: waits longer than a connection may take.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh::net::dial::CONNECT_DEADLINE;

/// Most addresses of one name that are tried.
const MOST: usize = 16;

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The resolver did not answer in time.
    #[error("no address of {host} in time")]
    Deadline {
        /// The name.
        host: Arc<str>,
    },
    /// The resolver failed, or the name does not exist.
    #[error("cannot resolve {host}")]
    Resolver {
        /// The name.
        host: Arc<str>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name has no address.
    #[error("{host} has no address")]
    Empty {
        /// The name.
        host: Arc<str>,
    },
}

/// The addresses of a name, in the resolver's order; at least one.
///
/// # Errors
/// [`Error`] names the host.
pub(super) async fn addresses(host: &Arc<str>, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let asked = tokio::net::lookup_host((&**host, port));
    let answer = tokio::time::timeout(CONNECT_DEADLINE, asked).await;
    let host = || Arc::clone(host);
    let found = match answer {
        Err(_) => return Err(Error::Deadline { host: host() }),
        Ok(Err(source)) => {
            let host = host();
            return Err(Error::Resolver { host, source });
        }
        Ok(Ok(found)) => found.take(MOST).collect::<Vec<_>>(),
    };
    match found.is_empty() {
        true => Err(Error::Empty { host: host() }),
        false => Ok(found),
    }
}
