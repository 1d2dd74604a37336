//! Pure. Whom a stream is for: the authority of its CONNECT and the picture of the mesh.

use std::net::{IpAddr, SocketAddr};

use mesh::hbone::Authority;
use mesh::model::AppProtocol;
use mesh::names::NamespacedHostname;
use mesh::state::{Hit, Lookup, Snapshot, WorkloadId};

/// Why a stream is for nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nobody has that address or name here.
    #[error("no service or workload here is {0}")]
    Nobody(Box<str>),
    /// The service has no such port.
    #[error("{service} has no port {port}")]
    Port {
        /// The service.
        service: NamespacedHostname,
        /// What was asked for.
        port: u16,
    },
}

/// The answer, or the name that the controller must be asked for first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A port of a service.
    Service {
        /// The service.
        key: NamespacedHostname,
        /// Its port.
        port: u16,
        /// What its owner says is spoken there.
        protocol: AppProtocol,
    },
    /// A workload itself.
    Workload {
        /// The workload.
        id: WorkloadId,
        /// Where it was dialled.
        address: SocketAddr,
    },
    /// Ask for this name, then again.
    Ask(Box<str>),
}

/// Finds whom `authority` means for a caller of `client_namespace`. `answered` are names that the
/// controller has been asked for meanwhile.
///
/// # Errors
/// [`Unknown`].
pub fn find(
    snapshot: &Snapshot,
    authority: &Authority,
    client_namespace: &str,
    answered: &[Box<str>],
) -> Result<Found, Unknown> {
    let nobody = || Unknown::Nobody(authority.to_string().into());
    let port = authority.port();
    let service = match authority {
        Authority::Host(host, _) => snapshot
            .service_by_hostname(host, client_namespace)
            .ok_or_else(nobody)?,
        Authority::Ip(address) => {
            let network = snapshot.network();
            match snapshot.find_address(network, address.ip(), client_namespace, answered) {
                Lookup::Found(Hit::Service(id)) => snapshot.service(id).ok_or_else(nobody)?,
                Lookup::Found(Hit::Workload(id)) => {
                    let address = *address;
                    return Ok(Found::Workload { id, address });
                }
                Lookup::Ask(name) if !answered.contains(&name) => return Ok(Found::Ask(name)),
                Lookup::Ask(_) | Lookup::Absent => return Err(nobody()),
            }
        }
    };
    let declared = service.ports().iter().find(|it| it.service_port == port);
    match declared {
        Some(declared) => Ok(Found::Service {
            key: service.key().clone(),
            port,
            protocol: declared.app_protocol,
        }),
        None => Err(Unknown::Port {
            service: service.key().clone(),
            port,
        }),
    }
}
/// Whether this waypoint, one of whose addresses is `own`, stands in front of the workload at `address`; or the name that
/// the controller must be asked for first. Who is let through another waypoint's door would carry that one's name.
pub fn is_in_front(
    snapshot: &Snapshot,
    own: IpAddr,
    namespace: &str,
    address: IpAddr,
    answered: &[Box<str>],
) -> Lookup<bool> {
    let network = snapshot.network();
    let ours = match snapshot.find_address(network, own, namespace, answered) {
        Lookup::Found(Hit::Workload(id)) => snapshot.workload(id),
        Lookup::Found(Hit::Service(_)) | Lookup::Absent => None,
        Lookup::Ask(name) if !answered.contains(&name) => return Lookup::Ask(name),
        Lookup::Ask(_) => None,
    };
    match ours {
        Some(ours) => snapshot.is_waypoint_of(ours, address, answered),
        None => Lookup::Found(false),
    }
}
