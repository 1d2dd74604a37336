//! A stream of a tunnel whose target is known: what every request on it has in common.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use mesh::lifecycle::drain;
use mesh::names::NamespacedHostname;
use mesh::tls::Peer;

use crate::destinations::Destination;
use crate::observe::record::{Party, Served};
use crate::worker::Worker;

/// The connection and the proven peer that a tunnel's streams share.
#[derive(Debug)]
pub struct Link {
    /// The other proxy's end.
    pub source: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Who the other end proved to be: the calling workload.
    pub peer: Peer,
    /// When the first of the two certificates ends: no streams after that.
    pub good_until: SystemTime,
}

/// Whom a stream is for.
pub enum Target {
    /// A port of a service.
    Service {
        /// The service.
        key: NamespacedHostname,
        /// Its port.
        port: u16,
    },
    /// A workload itself.
    Workload {
        /// The workload at the port that was dialled.
        itself: Arc<Destination>,
    },
}

/// A stream whose target is known.
pub struct Call {
    /// The worker it lives on.
    pub worker: Rc<Worker>,
    /// The tunnel it came through.
    pub link: Rc<Link>,
    /// Address of the calling application.
    pub client: IpAddr,
    /// Its port; 0 where that is not known.
    pub client_port: u16,
    /// Whom it is for.
    pub target: Target,
    /// Our end as the caller named it.
    pub authority: Arc<str>,
    /// Who calls, for telemetry.
    pub source: Arc<Party>,
    /// The service that is called, for telemetry.
    pub service: Arc<Served>,
}

impl Call {
    /// The service that is called, if it is one.
    pub fn service_key(&self) -> Option<&NamespacedHostname> {
        match &self.target {
            Target::Service { key, .. } => Some(key),
            Target::Workload { .. } => None,
        }
    }

    /// Address and port of the calling application.
    pub fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.client, self.client_port)
    }

    /// The address that was dialled; without one, that of nobody at the port.
    pub fn dialled(&self) -> SocketAddr {
        let nowhere = || SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.port());
        self.authority.parse().unwrap_or_else(|_| nowhere())
    }

    /// The port that was dialled.
    pub fn port(&self) -> u16 {
        match &self.target {
            Target::Service { port, .. } => *port,
            Target::Workload { itself } => itself.key.port,
        }
    }

    /// Resolves once the drain has begun.
    pub fn drain(&self) -> drain::Watch {
        self.worker.drain.clone()
    }
}
