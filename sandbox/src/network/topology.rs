//! The three kinds of namespace and how they are joined: control plane, nodes, pods.
//!
//! A node routes to each of its pods over a pair of its own. With a bridge instead, an answer between two pods of one
//! node would not pass the node's connection tracking, and service addresses would break.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::addresses::{
    CONTROL_PLANE_V4, CONTROL_PLANE_V6, NODE_PREFIX_V4, NODE_PREFIX_V6, NodeAddresses,
};
use super::links::{self, Prefix, Step};
use super::namespace::Namespace;

const BRIDGE: &str = "weft0";
/// The interface of a node towards the others, and of a pod towards its node.
pub const UPLINK: &str = "eth0";
const ANY_V4: Prefix = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const ANY_V6: Prefix = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Settings of every namespace: forward, trust spoofed sources of our own making, no delays before an address works.
const SETTINGS: [Step<'static>; 10] = [
    Step::Setting("ipv6/conf/all/disable_ipv6", "0"),
    Step::Setting("ipv6/conf/default/disable_ipv6", "0"),
    Step::Setting("ipv4/ip_forward", "1"),
    Step::Setting("ipv4/conf/all/rp_filter", "0"),
    Step::Setting("ipv4/conf/default/rp_filter", "0"),
    // A pod that reaches itself by its service's address comes back the way it went.
    Step::Setting("ipv4/conf/all/send_redirects", "0"),
    Step::Setting("ipv4/conf/default/send_redirects", "0"),
    Step::Setting("ipv6/conf/all/forwarding", "1"),
    Step::Setting("ipv6/conf/all/accept_dad", "0"),
    Step::Setting("ipv6/conf/default/accept_dad", "0"),
];

/// The addresses of one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodAddresses {
    /// Every pod has one.
    pub v4: Ipv4Addr,
    /// Only pods that asked for both families.
    pub v6: Option<Ipv6Addr>,
}

impl PodAddresses {
    /// In the order of `status.podIPs`.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(IpAddr::V4(self.v4)).chain(self.v6.map(IpAddr::V6))
    }
}

/// Sets the control plane's namespace up.
pub fn build_control_plane(root: &Namespace) -> Result<(), links::Error> {
    links::apply(root, &SETTINGS)?;
    links::apply(
        root,
        &[
            Step::Up("lo"),
            Step::Bridge(BRIDGE),
            Step::Address(BRIDGE, (CONTROL_PLANE_V4.into(), NODE_PREFIX_V4)),
            Step::Address(BRIDGE, (CONTROL_PLANE_V6.into(), NODE_PREFIX_V6)),
        ],
    )
}

/// Makes the namespace of node `node` at `path` and joins it to the control plane and to `others`.
pub fn build_node(
    root: &Namespace,
    path: &Path,
    node: NodeAddresses,
    others: &[(NodeAddresses, Namespace)],
) -> Result<Namespace, links::Error> {
    let namespace = Namespace::create(path)?;
    let port = format!("node{}", node.number);
    links::apply(&namespace, &SETTINGS)?;
    links::apply(
        root,
        &[
            Step::Pair(&port, UPLINK, namespace.as_fd()),
            Step::Join(&port, BRIDGE),
        ],
    )?;
    links::apply(
        &namespace,
        &[
            Step::Up("lo"),
            Step::Up(UPLINK),
            Step::Address(UPLINK, (node.internal_v4().into(), NODE_PREFIX_V4)),
            Step::Address(UPLINK, (node.internal_v6().into(), NODE_PREFIX_V6)),
            // Service addresses and names nobody has need a way out, if only to be refused there.
            Step::Via(ANY_V4, CONTROL_PLANE_V4.into(), UPLINK),
            Step::Via(ANY_V6, CONTROL_PLANE_V6.into(), UPLINK),
        ],
    )?;
    route_pods(root, node, BRIDGE)?;
    for (other, other_namespace) in others {
        route_pods(other_namespace, node, UPLINK)?;
        route_pods(&namespace, *other, UPLINK)?;
    }
    Ok(namespace)
}

fn route_pods(from: &Namespace, node: NodeAddresses, link: &str) -> Result<(), links::Error> {
    let (v4, v6) = (node.pods_v4(), node.pods_v6());
    links::apply(
        from,
        &[
            Step::Via(
                (v4.network().into(), v4.prefix_len()),
                node.internal_v4().into(),
                link,
            ),
            Step::Via(
                (v6.network().into(), v6.prefix_len()),
                node.internal_v6().into(),
                link,
            ),
        ],
    )
}

/// Name of the node's end of a pod's pair: what a capture listens on.
pub fn pod_port(slot: u8) -> String {
    format!("pod{slot}")
}

/// Makes a pod's namespace at `path` and joins it to its node.
pub fn build_pod(
    node_namespace: &Namespace,
    node: NodeAddresses,
    path: &Path,
    slot: u8,
    addresses: PodAddresses,
) -> Result<Namespace, links::Error> {
    let namespace = Namespace::create(path)?;
    let built = join_pod(node_namespace, node, &namespace, slot, addresses);
    match built {
        Ok(()) => Ok(namespace),
        Err(error) => {
            let _ = namespace.remove();
            Err(error)
        }
    }
}

fn join_pod(
    node_namespace: &Namespace,
    node: NodeAddresses,
    pod: &Namespace,
    slot: u8,
    addresses: PodAddresses,
) -> Result<(), links::Error> {
    let port = pod_port(slot);
    let (gateway_v4, gateway_v6) = (IpAddr::V4(node.gateway_v4()), IpAddr::V6(node.gateway_v6()));
    links::apply(
        pod,
        &[
            Step::Setting("ipv4/conf/all/rp_filter", "0"),
            Step::Setting("ipv4/conf/default/rp_filter", "0"),
            Step::Setting("ipv6/conf/all/disable_ipv6", "0"),
            Step::Setting("ipv6/conf/default/disable_ipv6", "0"),
            Step::Setting("ipv6/conf/default/accept_dad", "0"),
            // As Kubernetes does: an application needs no privilege for port 80.
            Step::Setting("ipv4/ip_unprivileged_port_start", "0"),
            Step::Up("lo"),
        ],
    )?;
    let mut steps = vec![
        Step::Pair(&port, UPLINK, pod.as_fd()),
        Step::Address(&port, (gateway_v4, 32)),
        Step::Direct((addresses.v4.into(), 32), &port),
    ];
    if let Some(v6) = addresses.v6 {
        steps.push(Step::Address(&port, (gateway_v6, 128)));
        steps.push(Step::Direct((v6.into(), 128), &port));
    }
    links::apply(node_namespace, &steps)?;
    let mut steps = vec![
        Step::Up(UPLINK),
        Step::Address(UPLINK, (addresses.v4.into(), 32)),
        Step::Direct((gateway_v4, 32), UPLINK),
        Step::Via(ANY_V4, gateway_v4, UPLINK),
    ];
    if let Some(v6) = addresses.v6 {
        steps.push(Step::Address(UPLINK, (v6.into(), 128)));
        steps.push(Step::Direct((gateway_v6, 128), UPLINK));
        steps.push(Step::Via(ANY_V6, gateway_v6, UPLINK));
    }
    links::apply(pod, &steps)
}
