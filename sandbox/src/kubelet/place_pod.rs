//! Gives a pod its network: a number, addresses, a namespace; and tells the CNI plugin.

use std::sync::Arc;

use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use tokio::sync::watch;

use super::Context;
use super::live::{Facts, LivePod};
use super::plugin::{self, Call};
use super::status::PodState;
use crate::cluster::View;
use crate::messages::PodName;
use crate::network::links;
use crate::network::topology::{PodAddresses, build_pod};
use crate::node::Node;

/// On a pod or namespace: which address families its pods have, as in `IPv4,IPv6`. IPv4 alone without it.
const FAMILIES_ANNOTATION: &str = "weft.dev/ip-families";

/// On a pod: the IPv4 address that it is to have, out of its node's. Any free one without it.
const ADDRESS_ANNOTATION: &str = "weft.dev/ipv4-address";

/// Why a pod has no network.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot set the pod's network up")]
    Network(#[from] links::Error),
    #[error("the node has no free pod address")]
    Full,
    #[error(
        "the address {wanted:?} (annotation {ADDRESS_ANNOTATION}) is another pod's, or none of {node}'s"
    )]
    Address { wanted: String, node: String },
    #[error("setting the pod's network up panicked")]
    Panicked,
}

/// The pod's network namespace and addresses; published in its status at once.
pub(super) async fn network(
    context: &Context,
    pod: &Pod,
    node: Arc<Node>,
    state: &watch::Sender<PodState>,
) -> Result<LivePod, Error> {
    let name = PodName {
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
    };
    let uid = pod.metadata.uid.clone();
    let folder = context.place.run().join("pods").join(&uid);
    let facts = if pod.spec.host_network {
        let addresses = PodAddresses {
            v4: node.addresses.internal_v4(),
            v6: None,
        };
        let network = node.namespace.clone();
        Facts {
            name,
            uid,
            node,
            slot: None,
            addresses,
            network,
            folder,
        }
    } else {
        let number = node.addresses.number;
        let slot = take_slot(context, pod, &node)?;
        let both = context.dual_stack && wants_both_families(&context.cluster.view(), pod);
        let v6 = both.then(|| node.addresses.pod_v6(slot));
        let addresses = PodAddresses {
            v4: node.addresses.pod_v4(slot),
            v6,
        };
        let path = context.place.run().join("netns").join(&uid);
        let outside = node.clone();
        let built = tokio::task::spawn_blocking(move || {
            build_pod(
                &outside.namespace,
                outside.addresses,
                &path,
                slot,
                addresses,
            )
        });
        let built = built.await.map_err(|_| Error::Panicked);
        let network = built
            .and_then(|built| Ok(built?))
            .inspect_err(|_| context.pods.give_slot_back(number, slot))?;
        Facts {
            name,
            uid,
            node,
            slot: Some(slot),
            addresses,
            network,
            folder,
        }
    };
    state.send_modify(|state| state.addresses = facts.addresses.all().collect());
    Ok(LivePod::new(facts, state.clone()))
}

/// The number of the pod's address: the one that it asks for, else any.
fn take_slot(context: &Context, pod: &Pod, node: &Node) -> Result<u8, Error> {
    let number = node.addresses.number;
    let Some(wanted) = pod.metadata.annotations.get(ADDRESS_ANNOTATION) else {
        return context.pods.take_slot(number).ok_or(Error::Full);
    };
    node.addresses
        .pod_slot(wanted)
        .and_then(|slot| context.pods.take_this_slot(number, slot))
        .ok_or_else(|| Error::Address {
            wanted: wanted.to_owned(),
            node: node.name.clone(),
        })
}

/// The rule for dual stack: the pod's annotation, else its namespace's.
fn wants_both_families(view: &View, pod: &Pod) -> bool {
    let namespace = view.get(&Key::new(Kind::Namespace, "", &pod.metadata.namespace));
    let of_namespace =
        namespace.and_then(|object| object.metadata().annotations.get(FAMILIES_ANNOTATION));
    let families = pod
        .metadata
        .annotations
        .get(FAMILIES_ANNOTATION)
        .or(of_namespace);
    families.is_some_and(|text| text.split(',').any(|family| family.trim() == "IPv6"))
}

/// Calls the CNI plugin for a pod with a network of its own, where there is a mesh.
pub(super) async fn call_plugin(
    context: &Context,
    live: &LivePod,
    command: &'static str,
) -> Result<(), plugin::Error> {
    let Some(slot) = live.slot.filter(|_| context.mesh) else {
        return Ok(());
    };
    let environment = live.node.agent_environment(&context.place.cluster());
    let call = Call {
        children: &context.children,
        node_network: live.node.namespace.path(),
        environment: &environment,
        agent_folder: &live.node.agent_folder(),
        folder: &live.folder,
        log: &context
            .place
            .logs()
            .join(format!("cni-plugin_{}.log", live.node.name)),
        pod_network: live.network.path(),
        namespace: &live.name.namespace,
        name: &live.name.name,
        uid: &live.uid,
        slot,
        addresses: live.addresses,
    };
    call.make(command).await
}
