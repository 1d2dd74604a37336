//! The CNI plugin, called by the container runtime for every pod: read the call -> is the pod any of our business? ->
//! ask the agent -> answer (CNI specification 0.3.1 to 1.1.0; contract: CNI plugin and agent,
//! docs/compat.md#cni-plugin).
//!
//! It fails closed: while the agent does not say yes, a pod that may be the mesh's does not start. Synchronous, without
//! a runtime, and gone within milliseconds. Next hop of the path: `agent/serve_plugin`.

mod ask;
mod configuration;
mod reply;

use std::path::PathBuf;

use crate::add_event::{AddEvent, PodAddress, SOCKET_NAME};
use crate::config::Call;
use configuration::Configuration;

pub use reply::{Failure, Reply};

/// Pods of the agent itself: it could never answer for them before it runs.
const AGENT_PODS: [&str; 2] = ["weft-cni-", "istio-cni-node-"];

/// Answers one call. `input` is what came on standard input.
pub fn answer(call: &Call, input: &[u8]) -> Reply {
    let version = configuration::version_of(input);
    let result = match call.command.as_str() {
        "ADD" => Configuration::read(input).and_then(|configuration| add(call, &configuration)),
        // Whatever is to be undone is undone by the agent when it sees the pod go.
        "DEL" => Ok(String::new()),
        "VERSION" => Ok(reply::versions(&version)),
        // The runtime would stop starting any pod of the node, also those outside the mesh, if this failed while the
        // agent is away; so it only says that the plugin itself can run.
        "STATUS" if reply::is_at_least(&version, (1, 1)) => {
            Configuration::read(input).map(|_| String::new())
        }
        command => Err(Failure::unsupported(command, &version)),
    };
    Reply::new(&version, result)
}

fn add(call: &Call, configuration: &Configuration) -> Result<String, Failure> {
    let result = configuration.previous_result()?;
    let Named {
        namespace,
        name,
        uid,
    } = pod_of(&call.arguments)?;
    if !is_none_of_ours(configuration, &namespace, &name) {
        if call.netns.is_empty() {
            return Err(Failure::environment("CNI_NETNS must be set for ADD"));
        }
        let event = AddEvent {
            netns: call.netns.clone(),
            pod_name: name,
            pod_namespace: namespace,
            ips: result.addresses.iter().map(pod_address).collect(),
            pod_uid: uid,
        };
        let socket = PathBuf::from(&configuration.run_directory).join(SOCKET_NAME);
        ask::agent(&socket, &event).map_err(|error| Failure::agent(&event, &error))?;
    }
    Ok(result.text)
}

/// What is known here without asking: the rest is for the agent to decide.
fn is_none_of_ours(configuration: &Configuration, namespace: &str, name: &str) -> bool {
    let is_agent = || AGENT_PODS.iter().any(|prefix| name.starts_with(prefix));
    !configuration.ambient_enabled
        || configuration
            .exclude_namespaces
            .iter()
            .any(|excluded| excluded == namespace)
        || (namespace == configuration.pod_namespace && is_agent())
}

struct Named {
    namespace: String,
    name: String,
    uid: Option<String>,
}

fn pod_of(arguments: &str) -> Result<Named, Failure> {
    let value = |key: &str| {
        let mut pairs = arguments.split(';').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, value)| *name == key && !value.is_empty());
        found.map(|(_, value)| value.to_owned())
    };
    match (value("K8S_POD_NAMESPACE"), value("K8S_POD_NAME")) {
        (Some(namespace), Some(name)) => Ok(Named {
            namespace,
            name,
            uid: value("K8S_POD_UID"),
        }),
        _ => Err(Failure::environment(
            "CNI_ARGS must name K8S_POD_NAMESPACE and K8S_POD_NAME",
        )),
    }
}

fn pod_address(address: &configuration::ResultAddress) -> PodAddress {
    PodAddress {
        interface: address.interface,
        address: address.address.into(),
        gateway: address
            .gateway
            .map(|gateway| gateway.to_string())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
