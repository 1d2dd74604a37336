//! The CNI plugin, called by the container runtime for every pod: read the call -> is the pod any of our business? ->
//! ask the agent -> answer (CNI specification 0.3.1 to 1.1.0; contract: CNI plugin and agent,
//! docs/compat.md#cni-plugin).
//!
//! It fails closed: while the agent does not say yes, a pod that may be the mesh's does not start. Synchronous, without
//! a runtime, and gone within milliseconds. Next hop of the path: `agent/serve_plugin`.

mod ask;
mod variables;
mod configuration;
mod result;
mod reply;

use std::path::PathBuf;

use crate::add_event::{ADD_PATH, AddEvent, CHECK_PATH, PodAddress, SOCKET_NAME};
use crate::config::Call;
use configuration::Configuration;
use result::{PreviousResult, ResultAddress};
use variables::Attachment;

pub use reply::{Failure, Reply};

/// Pods of the agent itself: it could never answer for them before it runs.
const AGENT_PODS: [&str; 2] = ["weft-cni-", "istio-cni-node-"];

/// Answers one call. `input` is what came on standard input.
pub fn answer(call: &Call, input: &[u8]) -> Reply {
    let version = configuration::version_of(input);
    let has = |since| reply::is_at_least(&version, since);
    let configuration = || Configuration::read(input);
    let nothing = |()| String::new();
    let result = match call.command.as_str() {
        "ADD" => configuration().and_then(|configuration| add(call, &configuration)),
        // Whatever is to be undone is undone by the agent when it sees the pod go.
        "DEL" => Ok(String::new()),
        "CHECK" if has((0, 4)) => configuration()
            .and_then(|configuration| check(call, &configuration))
            .map(nothing),
        // The same holds for what a runtime no longer knows of: there is nothing of the plugin's own to collect.
        "GC" if has((1, 1)) => configuration().map(drop).map(nothing),
        // The runtime would stop starting any pod of the node, also those outside the mesh, if this failed while the
        // agent is away; so it only says that the plugin itself can run.
        "STATUS" if has((1, 1)) => configuration().map(drop).map(nothing),
        "VERSION" => Ok(reply::versions(&version)),
        command => Err(Failure::unsupported(command, &version)),
    };
    Reply::new(&version, result)
}

/// The pod may start: the agent has said so, or it is none of the mesh's.
fn add(call: &Call, configuration: &Configuration) -> Result<String, Failure> {
    let result = configuration.previous_result()?;
    let attachment = Attachment::of(call)?;
    if !is_none_of_ours(configuration, &attachment) {
        let event = event(attachment, &result);
        ask::agent(&socket(configuration), ADD_PATH, &event)
            .map_err(|error| Failure::not_let_in(&event, &error))?;
    }
    Ok(result.text)
}

/// The pod is as the agent wants it to be.
fn check(call: &Call, configuration: &Configuration) -> Result<(), Failure> {
    let result = configuration.previous_result()?;
    let attachment = Attachment::of(call)?;
    if is_none_of_ours(configuration, &attachment) {
        return Ok(());
    }
    let event = event(attachment, &result);
    ask::agent(&socket(configuration), CHECK_PATH, &event)
        .map_err(|error| Failure::not_as_it_should_be(&event, &error))
}

/// What is known here without asking: the rest is for the agent to decide.
fn is_none_of_ours(configuration: &Configuration, attachment: &Attachment) -> bool {
    let Attachment {
        namespace, name, ..
    } = attachment;
    let is_agent = || AGENT_PODS.iter().any(|prefix| name.starts_with(prefix));
    !configuration.ambient_enabled
        || configuration.exclude_namespaces.contains(namespace)
        || (*namespace == configuration.pod_namespace && is_agent())
}

fn event(attachment: Attachment, result: &PreviousResult) -> AddEvent {
    AddEvent {
        netns: attachment.netns,
        pod_name: attachment.name,
        pod_namespace: attachment.namespace,
        ips: result.addresses.iter().map(pod_address).collect(),
        pod_uid: attachment.uid,
    }
}

fn pod_address(address: &ResultAddress) -> PodAddress {
    PodAddress {
        interface: address.interface,
        address: address.address.into(),
        gateway: address
            .gateway
            .map(|gateway| gateway.to_string())
            .unwrap_or_default(),
    }
}

fn socket(configuration: &Configuration) -> PathBuf {
    PathBuf::from(&configuration.run_directory).join(SOCKET_NAME)
}

#[cfg(test)]
mod tests;
