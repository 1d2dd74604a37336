//! Pure. Where a captured connection goes next. Rules: docs/compat.md#outbound-decision.
//!
//! In: the pod's own record, the original destination, a snapshot, one random number. Out: the next
//! hop, or a name to ask for, or why not. Never: a fall-back that loses a waypoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh::flow::Reason;
use mesh::identity::Identity;
use mesh::model::TunnelKind;
use mesh::state::{
    Endpoint, Hit, Lookup, NoEndpoint, Pick, ServiceView, Snapshot, Waypoint, WorkloadView,
};

use crate::config::Doors;

/// Everything the decision depends on beside the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The pod's own record.
    pub own: WorkloadView<'a>,
    /// Address the application called from.
    pub source_ip: IpAddr,
    /// Where it meant to go.
    pub destination: SocketAddr,
    /// Whether the connection came here by redirection; otherwise somebody dialled our own door.
    pub was_redirected: bool,
    /// Decides between equals.
    pub random: u64,
    /// Our own ports.
    pub doors: &'a Doors,
    /// Names that the controller was asked for: what is not there now, is not there at all.
    pub answered: &'a [Box<str>],
}

/// The decision.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// Go there.
    Go(NextHop<'a>),
    /// Ask the controller for this name first.
    Ask(Box<str>),
    /// Not now; ask again when the snapshot changes, and give up with this reason.
    Hold(Reason),
    /// No.
    Refuse(Reason),
}

/// Where the bytes go next.
#[derive(Clone, Debug)]
pub struct NextHop<'a> {
    /// How.
    pub route: Route,
    /// The workload the hop leads to, when the mesh knows it.
    pub workload: Option<WorkloadView<'a>>,
    /// The service that was addressed.
    pub service: Option<ServiceView<'a>>,
}

/// How to get to the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Plain TCP.
    Plain(SocketAddr),
    /// A CONNECT over mutual TLS.
    Tunnel {
        /// The other proxy.
        hop: SocketAddr,
        /// What the CONNECT asks for.
        authority: SocketAddr,
        /// Who the other end may be.
        peers: Vec<Identity>,
    },
}

/// What is known of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// All of it.
    Known(Way),
    /// All but the address of a host.
    Named {
        /// Host name of the workload that the hop leads to.
        host: Arc<str>,
        /// How to go on from there.
        onward: Onward,
    },
}

/// How to go on from the address of a host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// Plain TCP to this port.
    Plain(u16),
    /// A CONNECT over mutual TLS.
    Tunnel {
        /// Port of the other proxy.
        port: u16,
        /// What the CONNECT asks for.
        authority: Wanted,
        /// Who the other end may be.
        peers: Vec<Identity>,
    },
}

/// What a CONNECT to a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This port of the host itself.
    Own(u16),
    /// What the application dialled: the host is a waypoint.
    Dialled(SocketAddr),
}

impl Onward {
    /// The way when the host has this address.
    pub fn at(self, address: IpAddr) -> Way {
        match self {
            Self::Plain(port) => Way::Plain(SocketAddr::new(address, port)),
            Self::Tunnel {
                port,
                authority,
                peers,
            } => Way::Tunnel {
                hop: SocketAddr::new(address, port),
                authority: match authority {
                    Wanted::Own(port) => SocketAddr::new(address, port),
                    Wanted::Dialled(dialled) => dialled,
                },
                peers,
            },
        }
    }

    /// The way to a workload: by an address of it, else by its host name.
    fn of(self, workload: WorkloadView<'_>, address: Option<IpAddr>) -> Route {
        match address {
            Some(address) => Route::Known(self.at(address)),
            None => Route::Named {
                host: workload.hostname().into(),
                onward: self,
            },
        }
    }
}

/// Decides where a connection goes.
pub fn resolve<'a>(snapshot: &'a Snapshot, inquiry: &Inquiry<'_>) -> Answer<'a> {
    let Inquiry {
        own,
        destination,
        doors,
        ..
    } = *inquiry;
    let is_own_address =
        destination.ip().is_loopback() || own.addresses().any(|it| it == destination.ip());
    if doors.is_own(destination.port()) && is_own_address {
        return Answer::Refuse(Reason::IllegalPort);
    }
    let (to, answered) = (destination.ip(), inquiry.answered);
    let answer = match snapshot.find_address(own.network(), to, own.namespace(), answered) {
        Lookup::Ask(name) if !inquiry.answered.contains(&name) => Answer::Ask(name),
        Lookup::Ask(_) | Lookup::Absent => plain(destination, None, None),
        Lookup::Found(Hit::Service(id)) => match snapshot.service(id) {
            Some(service) => to_service(snapshot, inquiry, service),
            None => Answer::Hold(Reason::HostUnknown),
        },
        Lookup::Found(Hit::Workload(id)) => match snapshot.workload(id) {
            Some(workload) => to_workload(snapshot, inquiry, workload),
            None => Answer::Hold(Reason::HostUnknown),
        },
    };
    match &answer {
        // Plain bytes to our own door would come back here for ever.
        Answer::Go(hop)
            if !inquiry.was_redirected
                && hop.route.plain_port().is_some_and(|it| doors.is_own(it)) =>
        {
            Answer::Refuse(Reason::IllegalPort)
        }
        _ => answer,
    }
}

impl Route {
    /// The port that plain bytes go to.
    fn plain_port(&self) -> Option<u16> {
        match self {
            Self::Known(Way::Plain(address)) => Some(address.port()),
            Self::Named {
                onward: Onward::Plain(port),
                ..
            } => Some(*port),
            Self::Known(Way::Tunnel { .. }) | Self::Named { .. } => None,
        }
    }

    /// Whether it leads through a tunnel.
    pub fn is_tunnel(&self) -> bool {
        self.plain_port().is_none()
    }
}

/// Whom the connection was addressed to, as far as the mesh knows: for the record of one that gets
/// nowhere.
pub fn addressed<'a>(
    snapshot: &'a Snapshot,
    inquiry: &Inquiry<'_>,
) -> (Option<WorkloadView<'a>>, Option<ServiceView<'a>>) {
    let (own, to) = (inquiry.own, inquiry.destination.ip());
    match snapshot.find_address(own.network(), to, own.namespace(), inquiry.answered) {
        Lookup::Found(Hit::Workload(id)) => (snapshot.workload(id), None),
        Lookup::Found(Hit::Service(id)) => (None, snapshot.service(id)),
        Lookup::Absent | Lookup::Ask(_) => (None, None),
    }
}

fn plain<'a>(
    address: SocketAddr,
    workload: Option<WorkloadView<'a>>,
    service: Option<ServiceView<'a>>,
) -> Answer<'a> {
    Answer::Go(NextHop {
        route: Route::Known(Way::Plain(address)),
        workload,
        service,
    })
}

/// A service: through its waypoint if it has one, else to one of its endpoints. An endpoint's own
/// waypoint does not count here.
fn to_service<'a>(
    snapshot: &'a Snapshot,
    inquiry: &Inquiry<'_>,
    service: ServiceView<'a>,
) -> Answer<'a> {
    let Inquiry {
        own,
        destination,
        random,
        ..
    } = *inquiry;
    match snapshot.service_waypoint(service, own.as_client(), random) {
        Waypoint::None => {}
        waypoint => return to_waypoint(snapshot, inquiry, waypoint, Some(service)),
    }
    let dialled = Some(destination.ip());
    match snapshot.pick(
        service.id(),
        own.as_client(),
        destination.port(),
        dialled,
        random,
    ) {
        Pick::Endpoint(endpoint) => to_endpoint(snapshot, inquiry, endpoint, Some(service)),
        Pick::Passthrough => plain(destination, None, Some(service)),
        Pick::Nothing(NoEndpoint::Gone) => Answer::Hold(Reason::HostUnknown),
        Pick::Nothing(NoEndpoint::NoneHealthy) => Answer::Refuse(Reason::NoHealthyEndpoint),
        Pick::Nothing(NoEndpoint::NoneServes) => Answer::Refuse(Reason::PortUnknown),
    }
}

/// A workload by its own address: through its waypoint, unless it is the waypoint that calls.
fn to_workload<'a>(
    snapshot: &'a Snapshot,
    inquiry: &Inquiry<'_>,
    workload: WorkloadView<'a>,
) -> Answer<'a> {
    let Inquiry {
        own,
        source_ip,
        destination,
        random,
        ..
    } = *inquiry;
    let source = (own.identity(), source_ip);
    match snapshot.workload_waypoint(workload, own.as_client(), source, random) {
        Waypoint::None => {
            let endpoint = Endpoint {
                workload: workload.id(),
                port: destination.port(),
                address: Some(destination.ip()),
            };
            to_endpoint(snapshot, inquiry, endpoint, None)
        }
        waypoint => to_waypoint(snapshot, inquiry, waypoint, None),
    }
}

/// To a waypoint's instance. Without one the connection waits, then fails: it never goes around.
fn to_waypoint<'a>(
    snapshot: &'a Snapshot,
    inquiry: &Inquiry<'_>,
    waypoint: Waypoint,
    addressed: Option<ServiceView<'a>>,
) -> Answer<'a> {
    let (endpoint, found_by) = match waypoint {
        Waypoint::Instance { endpoint, service } => (endpoint, service),
        Waypoint::Ask(name) if !inquiry.answered.contains(&name) => return Answer::Ask(name),
        Waypoint::Ask(_) | Waypoint::None | Waypoint::Unavailable(_) => {
            return Answer::Hold(Reason::WaypointUnavailable);
        }
    };
    let Some(workload) = snapshot.workload(endpoint.workload) else {
        return Answer::Hold(Reason::WaypointUnavailable);
    };
    if workload.network() != inquiry.own.network() {
        return Answer::Refuse(Reason::OtherNetwork);
    }
    let found_by = found_by.and_then(|id| snapshot.service(id));
    let onward = Onward::Tunnel {
        port: endpoint.port,
        authority: Wanted::Dialled(inquiry.destination),
        peers: peers(snapshot, workload, found_by),
    };
    Answer::Go(NextHop {
        route: onward.of(workload, endpoint.address),
        workload: Some(workload),
        service: addressed,
    })
}

/// To one endpoint, through its own proxy when it has one.
fn to_endpoint<'a>(
    snapshot: &'a Snapshot,
    inquiry: &Inquiry<'_>,
    endpoint: Endpoint,
    service: Option<ServiceView<'a>>,
) -> Answer<'a> {
    let Some(workload) = snapshot.workload(endpoint.workload) else {
        return Answer::Hold(Reason::HostUnknown);
    };
    if workload.network() != inquiry.own.network() {
        return Answer::Refuse(Reason::OtherNetwork);
    }
    let onward = match workload.tunnel() {
        TunnelKind::None => Onward::Plain(endpoint.port),
        TunnelKind::Hbone => Onward::Tunnel {
            port: inquiry.doors.tunnel_port,
            authority: Wanted::Own(endpoint.port),
            peers: peers(snapshot, workload, service),
        },
    };
    Answer::Go(NextHop {
        route: onward.of(workload, endpoint.address),
        workload: Some(workload),
        service,
    })
}

/// Who may answer for a workload: itself, and what its services and the addressed one allow.
fn peers(
    snapshot: &Snapshot,
    workload: WorkloadView<'_>,
    addressed: Option<ServiceView<'_>>,
) -> Vec<Identity> {
    let mut peers = snapshot.expected_identities(workload);
    peers.extend(
        addressed
            .iter()
            .flat_map(|service| service.identities())
            .cloned(),
    );
    peers
}

#[cfg(test)]
mod tests;
