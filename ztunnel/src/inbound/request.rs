//! Pure. What a CONNECT asks for, and whether this pod may be asked for it.
//! Rules: docs/compat.md#inbound-status.

use std::net::{IpAddr, SocketAddr};

use mesh::flow::Reason;
use mesh::hbone::Authority;
use mesh::model::PortPair;
use mesh::state::{ServiceView, Snapshot, WorkloadView};

use crate::config::Doors;

/// Everything the decision depends on beside the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What the CONNECT names.
    pub authority: &'a Authority,
    /// Address of the pod that the tunnel was dialled to.
    pub dialled: IpAddr,
    /// The pod's own record.
    pub pod: WorkloadView<'a>,
    /// Our own ports.
    pub doors: &'a Doors,
}

/// Finds the application that is asked for.
///
/// # Errors
/// The reason, which knows the status to answer with.
pub fn target(snapshot: &Snapshot, asked: &Asked<'_>) -> Result<SocketAddr, Reason> {
    let (address, port) = match asked.authority {
        Authority::Ip(address) => (own_address(snapshot, asked, *address)?, address.port()),
        Authority::Host(host, port) => (
            asked.dialled,
            port_of_service(snapshot, asked, host, *port)?,
        ),
    };
    let port = match asked.pod.application_tunnel() {
        Some(tunnel) if tunnel.proxy_protocol => return Err(Reason::Unsupported),
        Some(tunnel) if tunnel.port != 0 => tunnel.port,
        _ => port,
    };
    if port == 0 || asked.doors.is_own(port) {
        return Err(Reason::IllegalPort);
    }
    Ok(SocketAddr::new(address, port))
}

/// The service a connection to the pod was probably addressed to, for telemetry: the one the caller
/// names if it is one of the pod's, else the first that leads to this port.
pub fn likely_service<'a>(
    snapshot: &'a Snapshot,
    pod: WorkloadView<'a>,
    named: Option<&str>,
    port: u16,
) -> Option<ServiceView<'a>> {
    let known = |key| snapshot.service_by_name(key).found();
    let mut of_name = pod.services().map(|(service, _)| service);
    if let Some(found) = named.and_then(|name| of_name.find(|it| *it.hostname == *name)) {
        return known(found);
    }
    let leads_to_port = |service: &ServiceView<'_>, ports: &[PortPair]| {
        ports.iter().any(|pair| pair.target_port == port)
            || service.ports().iter().any(|it| it.target_port == port)
    };
    pod.services()
        .filter_map(|(key, ports)| Some((known(key)?, ports)))
        .find(|(service, ports)| leads_to_port(service, ports))
        .map(|(service, _)| service)
}

/// An address is the pod's own when the tunnel was dialled to it. Exempt are pods that take tunnels
/// for others: those with an application tunnel, and the waypoint of what is asked for.
fn own_address(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    address: SocketAddr,
) -> Result<IpAddr, Reason> {
    let address = address.ip().to_canonical();
    if address == asked.dialled
        || asked.pod.application_tunnel().is_some()
        || snapshot.is_waypoint_of(asked.pod, address)
    {
        return Ok(asked.dialled);
    }
    Err(Reason::AuthorityMismatch)
}

/// Port of this pod behind a port of one of its services.
fn port_of_service(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    host: &str,
    port: u16,
) -> Result<u16, Reason> {
    let service = snapshot
        .service_by_hostname(host, asked.pod.namespace())
        .ok_or(Reason::HostUnknown)?;
    let mut members = asked.pod.services();
    let (_, ports) = members
        .find(|(member, _)| *member == service.key())
        .ok_or(Reason::PortUnknown)?;
    let own = ports
        .iter()
        .find(|pair| pair.service_port == port)
        .map(|pair| pair.target_port);
    let common = service.ports().iter().find(|it| it.service_port == port);
    own.filter(|target| *target != 0)
        .or_else(|| {
            common
                .map(|it| it.target_port)
                .filter(|target| *target != 0)
        })
        .ok_or(Reason::PortUnknown)
}

#[cfg(test)]
mod tests;
