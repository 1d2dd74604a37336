//! Pure. What the plugin tells the agent of a new pod, as the JSON of both (contract: CNI plugin and agent,
//! docs/compat.md#cni-plugin). Field names and the form of the mask are those of Go's standard library.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The name of the agent's socket in its run directory.
pub const SOCKET_NAME: &str = "pluginevent.sock";

/// The path of the request that asks for a pod to be let in.
pub const ADD_PATH: &str = "/cmdadd";

/// The path of the request that asks whether a pod is as it should be. Only Weft's plugin and agent know it.
pub const CHECK_PATH: &str = "/cmdcheck";

/// How long the plugin waits for the agent's answer, from its call to the last byte. The agent gives up earlier.
pub const PATIENCE: Duration = Duration::from_secs(12);

/// The status of an answer that says: the pod is not as it should be.
pub const WRONG: u16 = 409;

/// A pod's namespace is there and has its addresses; nothing runs in it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AddEvent {
    /// The path of the network namespace.
    pub netns: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's namespace, as Kubernetes means it.
    pub pod_namespace: String,
    /// Its addresses.
    #[serde(rename = "IPs", default)]
    pub ips: Vec<PodAddress>,
    /// The pod's uid, where the runtime knows it. Only Weft's plugin says it; others read over it.
    #[serde(rename = "PodUID", default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
}

/// One address of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PodAddress {
    /// Its index in the list of interfaces of the result.
    pub interface: Option<i64>,
    /// Address and mask.
    pub address: GoNetwork,
    /// The next hop; empty when there is none.
    #[serde(default)]
    pub gateway: String,
}

/// Go's `net.IPNet`: the mask is a list of bytes, which Go writes as base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct GoNetwork {
    /// The address.
    pub ip: IpAddr,
    /// The mask as base64.
    #[serde(rename = "Mask")]
    pub mask: Option<String>,
}

impl From<IpNet> for GoNetwork {
    fn from(network: IpNet) -> Self {
        let mask = match network.netmask() {
            IpAddr::V4(mask) => STANDARD.encode(mask.octets()),
            IpAddr::V6(mask) => STANDARD.encode(mask.octets()),
        };
        GoNetwork {
            ip: network.addr(),
            mask: Some(mask),
        }
    }
}

impl AddEvent {
    /// The pod's addresses without masks.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.ips.iter().map(|ip| ip.address.ip).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::AddEvent;

    /// Written as Go's encoder would.
    #[test]
    fn reads_and_writes_the_json_of_the_contract() {
        let json = concat!(
            r#"{"Netns":"/run/netns/a","PodName":"p","PodNamespace":"n","#,
            r#""IPs":[{"Interface":0,"Address":{"IP":"10.0.0.2","Mask":"////AA=="},"#,
            r#""Gateway":"10.0.0.1"}]}"#
        );
        let event: AddEvent = serde_json::from_str(json).unwrap();
        assert_eq!(
            event.addresses(),
            ["10.0.0.2".parse::<std::net::IpAddr>().unwrap()]
        );
        let network: ipnet::IpNet = "10.0.0.2/24".parse().unwrap();
        assert_eq!(event.ips[0].address, network.into());
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
    }
}
