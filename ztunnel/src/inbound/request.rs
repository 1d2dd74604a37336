//! Pure. What a CONNECT asks for, and whether this pod may be asked for it.
//! Rules: docs/compat.md#inbound-status.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mesh::flow::Reason;
use mesh::hbone::Authority;
use mesh::model::PortPair;
use mesh::names::NamespacedHostname;
use mesh::state::{Lookup, ServiceView, Snapshot, WorkloadView};

use crate::config::Doors;
use crate::pod::Answered;

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
    /// Names that the controller was asked for: what is not there now, is not there at all.
    pub answered: &'a Answered,
}

/// The application that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address on the pod, as policies know it.
    pub application: SocketAddr,
    /// Where it is called: there, or on the pod's loopback.
    pub at: SocketAddr,
    /// The destination that is announced to it in front of the bytes, where it wants to be told.
    pub announced: Option<SocketAddr>,
}

/// Why there is no application to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The reason, which knows the status to answer with.
    Refused(Reason),
    /// The controller has to be asked for this name first.
    Ask(Box<str>),
}

impl From<Reason> for NoTarget {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// Finds the application that is asked for.
///
/// # Errors
/// [`NoTarget`]: it is refused, or not known yet.
pub fn target(snapshot: &Snapshot, asked: &Asked<'_>) -> Result<Target, NoTarget> {
    let tunnel = asked.pod.application_tunnel();
    let (own, port) = match asked.authority {
        Authority::Ip(address) => (own_address(snapshot, asked, *address)?, address.port()),
        Authority::Host(host, port) => (
            asked.dialled,
            port_of_service(snapshot, asked, host, *port)?,
        ),
    };
    let set = tunnel.map(|it| it.port).filter(|port| *port != 0);
    let port = set.unwrap_or(port);
    if port == 0 || asked.doors.is_own(port) {
        return Err(Reason::IllegalPort.into());
    }
    let is_near = tunnel.is_some() && asked.doors.localhost_app_tunnel;
    let application = SocketAddr::new(own, port);
    Ok(Target {
        application,
        at: match is_near {
            true => SocketAddr::new(loopback(own), port),
            false => application,
        },
        announced: tunnel
            .filter(|it| it.proxy_protocol)
            .map(|_| announced(snapshot, asked)),
    })
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
) -> Result<IpAddr, NoTarget> {
    let address = address.ip().to_canonical();
    if address == asked.dialled || asked.pod.application_tunnel().is_some() {
        return Ok(asked.dialled);
    }
    match snapshot.is_waypoint_of(asked.pod, address, asked.answered) {
        Lookup::Found(true) => Ok(asked.dialled),
        Lookup::Ask(name) if !asked.answered.contains(&name) => Err(NoTarget::Ask(name)),
        Lookup::Found(false) | Lookup::Absent | Lookup::Ask(_) => {
            Err(Reason::AuthorityMismatch.into())
        }
    }
}

/// What the caller wants to reach: the address it names, or that of the service it names, the pod's
/// own network and IPv4 first.
fn announced(snapshot: &Snapshot, asked: &Asked<'_>) -> SocketAddr {
    let (host, port) = match asked.authority {
        Authority::Ip(address) => return *address,
        Authority::Host(host, port) => (host, *port),
    };
    let service = snapshot.service_by_hostname(host, asked.pod.namespace());
    let addresses = service.map_or(&[][..], |service| service.addresses());
    let single = addresses.iter().filter(|it| it.prefix.is_none());
    let best = single.min_by_key(|it| {
        let is_far = *it.network != **asked.pod.network();
        (is_far, it.address.is_ipv6())
    });
    SocketAddr::new(best.map_or(asked.dialled, |it| it.address), port)
}

/// The loopback address of the same family.
fn loopback(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Port of this pod behind a port of one of its services. What the pod's own record says of the port
/// counts first, and needs no record of the service.
fn port_of_service(
    snapshot: &Snapshot,
    asked: &Asked<'_>,
    host: &str,
    port: u16,
) -> Result<u16, Reason> {
    let service = snapshot.service_by_hostname(host, asked.pod.namespace());
    let is_meant = |key: &NamespacedHostname| match service {
        Some(service) => key == service.key(),
        None => *key.hostname == *host,
    };
    let mut members = asked.pod.services();
    let Some((_, ports)) = members.find(|(member, _)| is_meant(member)) else {
        return Err(match service {
            Some(_) => Reason::PortUnknown,
            None => Reason::HostUnknown,
        });
    };
    let own = ports.iter().find(|pair| pair.service_port == port);
    let common =
        service.and_then(|service| service.ports().iter().find(|it| it.service_port == port));
    let own = own.map(|it| it.target_port).filter(|it| *it != 0);
    let common = common.map(|it| it.target_port).filter(|it| *it != 0);
    own.or(common).ok_or(Reason::PortUnknown)
}

#[cfg(test)]
mod tests;
