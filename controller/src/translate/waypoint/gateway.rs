//! Pure. What a gateway is as a waypoint: for which traffic, for whom, and where it is reached.

use std::net::IpAddr;

use mesh::model::waypoint::WaypointFor;
use mesh::model::{ApplicationTunnel, Destination, GatewayAddress};
use mesh::names::{NamespacedHostname, NetworkAddress};
use objects::gateway_api::gateway::From;
use objects::gateway_api::{Gateway, GatewayClass, Listener};
use objects::labels::Labels;

use super::HBONE_PORT;
use crate::translate::rule::Rule;
use crate::translate::{Cluster, Finding};

/// For which traffic a gateway is a waypoint.
const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// How a waypoint wants tunnelled connections: a protocol, and a port behind a `/`.
const INBOUND_BINDING: &str = "ambient.istio.io/waypoint-inbound-binding";
/// Class of waypoints, whether an object describes it or not.
const CLASS: &str = "istio-waypoint";
/// Who looks after waypoints, as their classes say.
const CONTROLLER: &str = "istio.io/mesh-controller";
/// Protocol of a listener that is handed connections with the PROXY protocol.
const PROXY_LISTENER: &str = "istio.io/PROXY";

/// What a connection was dialled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// The address or name of a service.
    Service,
    /// The address of a workload.
    Workload,
}

/// A gateway, with its class.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// Its class, when that is known.
    pub class: Option<&'a GatewayClass>,
}

impl Candidate<'_> {
    /// Whether it is a waypoint of ours, by its class.
    pub fn is_waypoint(&self) -> bool {
        let by_class = || Some(&*self.class?.spec.controller_name);
        self.gateway.spec.gateway_class_name == CLASS || by_class() == Some(CONTROLLER)
    }

    /// For which traffic it is a waypoint.
    pub fn for_traffic(&self) -> WaypointFor {
        match self.waypoint_for().unwrap_or_default() {
            "none" => WaypointFor::None,
            "all" => WaypointFor::All,
            "workload" => WaypointFor::Workload,
            _ => WaypointFor::Service,
        }
    }

    /// Whether it is a waypoint for this traffic; unless said otherwise it is for services.
    pub fn serves(&self, traffic: Traffic) -> bool {
        match self.for_traffic() {
            WaypointFor::None => false,
            WaypointFor::All => true,
            WaypointFor::Workload => traffic == Traffic::Workload,
            WaypointFor::Service => traffic == Traffic::Service,
        }
    }

    /// Where it is reached, from its status; `None` while it is not ready.
    pub fn address(&self, cluster: &Cluster) -> Option<GatewayAddress> {
        let addresses = &self.gateway.status.addresses;
        let is_name = |kind: &Option<String>| kind.as_deref() == Some("Hostname");
        let host = addresses
            .iter()
            .find(|it| is_name(&it.r#type) && !it.value.is_empty());
        let destination = match host {
            Some(host) => {
                let namespace = &*self.gateway.metadata.namespace;
                let host = NamespacedHostname::new(namespace, &*host.value);
                Destination::Hostname(host)
            }
            None => {
                let mut others = addresses.iter().filter(|it| !is_name(&it.r#type));
                let address: IpAddr = others.find_map(|it| it.value.parse().ok())?;
                Destination::Address(NetworkAddress::new(cluster.network.clone(), address))
            }
        };
        Some(GatewayAddress {
            destination,
            hbone_port: HBONE_PORT,
        })
    }

    /// Whether objects of another namespace, with these labels, may bind to it.
    pub fn admits(&self, labels: &Labels) -> bool {
        let allowed = self.door().and_then(|door| door.allowed_routes.as_ref());
        let Some(namespaces) = allowed.and_then(|it| it.namespaces.as_ref()) else {
            return false;
        };
        match namespaces.from {
            From::All => true,
            From::Selector => {
                let selector = namespaces.selector.as_ref();
                selector.is_some_and(|selector| selector.matches(labels))
            }
            From::Same | From::None => false,
        }
    }

    /// Whether labels of namespaces decide who may bind to it.
    pub fn selects_namespaces(&self) -> bool {
        let allowed = self.door().and_then(|door| door.allowed_routes.as_ref());
        let namespaces = allowed.and_then(|it| it.namespaces.as_ref());
        namespaces.is_some_and(|it| it.from == From::Selector)
    }

    /// How its pods want tunnelled connections.
    pub fn application_tunnel(&self) -> Option<ApplicationTunnel> {
        self.binding()
            .and_then(read_binding)
            .filter(|it| it.proxy_protocol || it.port != 0)
    }

    /// What of it the objects that ask for it depend on.
    pub fn findings(&self) -> Vec<Finding> {
        let own = |map: &str, key: &str| ["metadata", map, key].map(str::to_owned);
        let mut findings = Vec::new();
        let mut say = |path: [String; 3], reason: String| {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            findings.push(Finding::new(Rule::InvalidValue, &keys, reason));
        };
        let metadata = &self.gateway.metadata;
        if let Some(word) = metadata.labels.get(WAYPOINT_FOR)
            && !["service", "workload", "all", "none"].contains(&word)
        {
            let reason = format!("{word:?} is none of service, workload, all, none: service holds");
            say(own("labels", WAYPOINT_FOR), reason);
        }
        if let Some(text) = metadata.annotations.get(INBOUND_BINDING)
            && read_binding(text).is_none()
        {
            let reason =
                format!("{text:?} is neither PROXY nor NONE, with /port behind: no effect");
            say(own("annotations", INBOUND_BINDING), reason);
        }
        findings
    }

    fn waypoint_for(&self) -> Option<&str> {
        let own = self.gateway.metadata.labels.get(WAYPOINT_FOR);
        own.or_else(|| self.class?.metadata.labels.get(WAYPOINT_FOR))
    }

    fn binding(&self) -> Option<&str> {
        let own = self.gateway.metadata.annotations.get(INBOUND_BINDING);
        own.or_else(|| self.class?.metadata.annotations.get(INBOUND_BINDING))
    }

    /// The listener that decides who may bind: the one its binding names, else that of HBONE.
    fn door(&self) -> Option<&Listener> {
        let binding = self.binding().and_then(read_binding);
        let is_bound = |one: &&Listener| {
            binding.is_some_and(|it| {
                (it.port != 0 && one.port == it.port)
                    || (it.proxy_protocol && one.protocol == PROXY_LISTENER)
            })
        };
        let is_tunnel = |one: &&Listener| one.protocol == "HBONE" && one.port == HBONE_PORT;
        let listeners = &self.gateway.spec.listeners;
        let bound = listeners.iter().find(is_bound);
        bound.or_else(|| listeners.iter().find(is_tunnel))
    }
}

/// What of a gateway the objects that ask for it depend on. While this stays the same, none changes with it.
pub fn facts(gateway: &Gateway) -> impl PartialEq {
    let metadata = &gateway.metadata;
    (
        metadata.labels.get(WAYPOINT_FOR),
        metadata.annotations.get(INBOUND_BINDING),
        metadata.annotations.get(super::required::ACCOUNT),
        &gateway.spec,
        &gateway.status,
    )
}

/// What of a class its gateways depend on.
pub fn class_facts(class: &GatewayClass) -> [Option<&str>; 3] {
    let metadata = &class.metadata;
    [
        metadata.labels.get(WAYPOINT_FOR),
        metadata.annotations.get(INBOUND_BINDING),
        Some(&class.spec.controller_name),
    ]
}

/// `PROXY`, `PROXY/15088`, `NONE/15080`.
fn read_binding(text: &str) -> Option<ApplicationTunnel> {
    let (protocol, port) = match text.split_once('/') {
        Some((protocol, port)) => (protocol, port.parse().ok()?),
        None => (text, 0),
    };
    let proxy_protocol = match protocol {
        "PROXY" => true,
        "NONE" => false,
        _ => return None,
    };
    Some(ApplicationTunnel {
        proxy_protocol,
        port,
    })
}
