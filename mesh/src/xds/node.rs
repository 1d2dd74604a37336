//! Pure. What a client tells the controller about itself: node id and metadata.
//!
//! Source: contract, docs/compat.md#xds-node.

use std::collections::BTreeMap;

use serde_json::Value;

/// Metadata key by which a client says that it understands responses marked with [`MORE_FOLLOWS`],
/// so that the first answer may come in pages. Other clients take the first response for the whole.
pub const PAGES: &str = "WEFT_PAGES";

/// Metadata key of all addresses of the client's pod, with commas between them.
const ADDRESSES: &str = "INSTANCE_IPS";

/// End of `system_version_info` of a response when more of the same type follows at once: the client
/// is not ready before it has seen a response without it.
pub const MORE_FOLLOWS: &str = ";more";

/// Who this client is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `<type>~<ip>~<pod>.<namespace>~<namespace>.svc.<cluster domain>`.
    pub id: String,
    /// What else the controller is told: strings, or whatever JSON the user put there.
    pub metadata: BTreeMap<String, Value>,
}

/// The pod a proxy runs in, as the settings have it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Kind of proxy: `ztunnel`, `waypoint`.
    pub kind: &'static str,
    /// INSTANCE_IP; `1.1.1.1` is sent when it is not known.
    pub ip: Option<String>,
    /// POD_NAME.
    pub pod: String,
    /// POD_NAMESPACE.
    pub namespace: String,
    /// SERVICE_ACCOUNT; not sent when empty.
    pub service_account: String,
    /// NODE_NAME.
    pub node: String,
    /// Cluster domain; the contract says `cluster.local`.
    pub domain: String,
}

impl Node {
    /// The node of a proxy at `place`; `extra` are the ISTIO_META_ and ISTIO_METAJSON_ values without prefix.
    pub fn of(place: &Place, extra: impl IntoIterator<Item = (String, Value)>) -> Self {
        let ip = place.ip.as_deref().filter(|ip| !ip.is_empty());
        let id = format!(
            "{}~{}~{}.{}~{}.svc.{}",
            place.kind,
            ip.unwrap_or("1.1.1.1"),
            place.pod,
            place.namespace,
            place.namespace,
            if place.domain.is_empty() {
                "cluster.local"
            } else {
                &place.domain
            },
        );
        let own = [
            ("NAME", place.pod.as_str()),
            ("NAMESPACE", &place.namespace),
            ("NODE_NAME", &place.node),
            ("SERVICE_ACCOUNT", &place.service_account),
            (PAGES, "true"),
        ];
        let mut metadata: BTreeMap<String, Value> = extra.into_iter().collect();
        for (key, value) in own {
            if !value.is_empty() {
                metadata.insert(key.to_owned(), Value::String(value.to_owned()));
            }
        }
        if let Some(ip) = ip {
            let one = || Value::String(ip.to_owned());
            metadata.entry(ADDRESSES.to_owned()).or_insert_with(one);
        }
        Self { id, metadata }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_itself_as_the_contract_says() {
        let place = Place {
            kind: "ztunnel",
            ip: Some("10.0.0.7".into()),
            pod: "ztunnel-x".into(),
            namespace: "weft-system".into(),
            service_account: "ztunnel".into(),
            node: "n1".into(),
            domain: String::new(),
        };
        let node = Node::of(
            &place,
            [("CLUSTER_ID".to_owned(), Value::String("Kubernetes".into()))],
        );
        assert_eq!(node.metadata[ADDRESSES], "10.0.0.7");
        let several = [(ADDRESSES.to_owned(), "10.0.0.7,fd00::7".into())];
        assert_eq!(
            Node::of(&place, several).metadata[ADDRESSES],
            "10.0.0.7,fd00::7"
        );
        assert_eq!(
            node.id,
            "ztunnel~10.0.0.7~ztunnel-x.weft-system~weft-system.svc.cluster.local"
        );
        assert_eq!(node.metadata["NODE_NAME"], "n1");
        assert_eq!(node.metadata["CLUSTER_ID"], "Kubernetes");
        assert_eq!(node.metadata[PAGES], "true");
    }

    #[test]
    fn says_a_placeholder_address_and_no_empty_metadata_when_it_knows_little() {
        let node = Node::of(
            &Place {
                kind: "ztunnel",
                ..Place::default()
            },
            [],
        );
        assert!(node.id.starts_with("ztunnel~1.1.1.1~"));
        assert!(!node.metadata.contains_key("INSTANCE_IPS"));
        assert!(!node.metadata.contains_key("SERVICE_ACCOUNT"));
    }
}
