//! Pure. Who may see what: from what a client proved and what it claims to the types it is served.
//!
//! Node proxies see everything that is public. Source: docs/compat.md#delta-discovery.

use proto::type_urls;

use crate::ca::Caller;

/// What a client says of itself in its first message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Node id: four parts with `~` between, the first the kind of proxy.
    pub id: String,
    /// Metadata `NAMESPACE`.
    pub namespace: Option<String>,
    /// Metadata `SERVICE_ACCOUNT`.
    pub service_account: Option<String>,
    /// Metadata `NODE_NAME`.
    pub node: Option<String>,
    /// Whether it understands responses in pages.
    pub takes_pages: bool,
}

/// What a client is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Types it may ask for; policies before what names them.
    pub types: &'static [&'static str],
    /// The node it serves: an on-demand client is told of the workloads there unasked.
    pub node: Option<String>,
    /// Whether it understands responses in pages.
    pub takes_pages: bool,
}

/// Why a client is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node id in the first message.
    #[error("the first message carries no node.id")]
    NoNode,
    /// A node id of another shape.
    #[error("node.id {id:?} does not have the four parts type~ip~pod.namespace~domain")]
    NodeId {
        /// What it says.
        id: String,
    },
    /// A kind of client that is not served.
    #[error("clients of the type {kind:?} are not served, only ztunnel")]
    Kind {
        /// What it says.
        kind: String,
    },
    /// Claims another namespace or service account than its token proves.
    #[error("metadata {field} says {claimed:?}, the token {proven:?}")]
    Disagrees {
        /// The field of the metadata.
        field: &'static str,
        /// What it says.
        claimed: String,
        /// What the token proves.
        proven: String,
    },
}

impl Refusal {
    /// One word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoNode => "no_node",
            Self::NodeId { .. } => "node_id",
            Self::Kind { .. } => "node_type",
            Self::Disagrees { .. } => "identity_mismatch",
        }
    }
}

const ZTUNNEL: &[&str] = &[
    type_urls::AUTHORIZATION,
    type_urls::ADDRESS,
    type_urls::WORKLOAD,
];

/// What `caller`, who claims `claim`, is served.
///
/// # Errors
/// Says which part of the claim is missing, unknown or untrue.
pub fn decide(caller: &Caller, claim: &Claim) -> Result<Scope, Refusal> {
    if claim.id.is_empty() {
        return Err(Refusal::NoNode);
    }
    let parts: Vec<&str> = claim.id.split('~').collect();
    let [kind, _, _, _] = parts[..] else {
        let id = shorten(&claim.id);
        return Err(Refusal::NodeId { id });
    };
    let types = match kind {
        "ztunnel" => ZTUNNEL,
        _ => {
            let kind = shorten(kind);
            return Err(Refusal::Kind { kind });
        }
    };
    agrees("NAMESPACE", claim.namespace.as_deref(), caller.namespace())?;
    let account = claim.service_account.as_deref();
    agrees("SERVICE_ACCOUNT", account, caller.service_account())?;
    // The node is what the issuer of the token says, where it says anything.
    let proven = caller.node.as_deref().map(str::to_owned);
    Ok(Scope {
        types,
        node: proven.or_else(|| claim.node.clone()),
        takes_pages: claim.takes_pages,
    })
}

fn agrees(field: &'static str, claimed: Option<&str>, proven: &str) -> Result<(), Refusal> {
    match claimed {
        Some(claimed) if claimed != proven => Err(Refusal::Disagrees {
            field,
            claimed: shorten(claimed),
            proven: proven.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Foreign text in errors is cut.
fn shorten(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use mesh::identity::Identity;

    use super::*;

    fn caller() -> Caller {
        Caller {
            identity: Identity::parse("spiffe://cluster.local/ns/weft-system/sa/ztunnel").unwrap(),
            pod: None,
            node: Some("n1".into()),
        }
    }

    fn claim(id: &str) -> Claim {
        Claim {
            id: id.into(),
            ..Claim::default()
        }
    }

    const ID: &str = "ztunnel~10.0.0.1~z.weft-system~weft-system.svc.cluster.local";

    #[test]
    fn node_proxies_see_policies_and_addresses() {
        let claim = Claim {
            namespace: Some("weft-system".into()),
            service_account: Some("ztunnel".into()),
            node: Some("claimed".into()),
            takes_pages: true,
            ..claim(ID)
        };
        let scope = decide(&caller(), &claim).unwrap();
        assert_eq!(scope.types, ZTUNNEL);
        assert_eq!(scope.node.as_deref(), Some("n1"), "the token knows better");
        assert!(scope.takes_pages);
        assert!(
            decide(&caller(), &super::tests::claim(ID)).is_ok(),
            "metadata may be absent"
        );
    }

    #[test]
    fn refuses_with_the_reason() {
        let refused = |claim: Claim| decide(&caller(), &claim).unwrap_err().word();
        assert_eq!(refused(claim("")), "no_node");
        assert_eq!(refused(claim("ztunnel")), "node_id");
        assert_eq!(refused(claim("a~b~c~d~e")), "node_id");
        assert_eq!(refused(claim("sidecar~1.1.1.1~a.b~b.svc")), "node_type");
        let namespace = Some("default".to_owned());
        assert_eq!(
            refused(Claim {
                namespace,
                ..claim(ID)
            }),
            "identity_mismatch"
        );
        let service_account = Some("default".to_owned());
        assert_eq!(
            refused(Claim {
                service_account,
                ..claim(ID)
            }),
            "identity_mismatch"
        );
    }
}
