//! Pure. Who may see what: from what a client proved and what it claims to the types it is served.
//!
//! Node proxies see everything that is public. A waypoint is one when its token is bound to a pod that, as the cluster
//! has it, is an instance of a gateway; it sees what is for that gateway, and addresses that it asks for by name.
//! Source: docs/compat.md#delta-discovery.

use mesh::names::NamespacedName;
use proto::type_urls;

use crate::ca::Caller;
use crate::ca::allow;
use crate::resources::Resource;
use crate::shelf::residents::Residents;

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
    /// Types it may ask for; policies before what they protect.
    pub types: &'static [&'static str],
    /// Those of them that it must ask for by name.
    pub only_by_name: &'static [&'static str],
    /// The gateway it is an instance of.
    pub gateway: Option<NamespacedName>,
    /// The node it serves: an on-demand client is told of the workloads there unasked.
    pub node: Option<String>,
    /// Whether it understands responses in pages.
    pub takes_pages: bool,
}

impl Scope {
    /// Whether the client may see a resource.
    pub fn sees(&self, resource: &Resource) -> bool {
        resource.audience.includes(self.gateway.as_ref())
    }
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
    #[error("clients of the type {kind:?} are not served, only ztunnel and waypoint")]
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
    /// Says it is a waypoint, and its token is bound to no pod.
    #[error("a waypoint's token must be bound to its pod")]
    NoPod,
    /// The pod of the token is not what the token says.
    #[error("not the pod that the token was issued to")]
    Pod(#[source] allow::Refusal),
    /// Says it is a waypoint, and its pod is no instance of a gateway.
    #[error(
        "pod {pod} is no instance of a gateway: it has no label gateway.networking.k8s.io/gateway-name"
    )]
    NoGateway {
        /// The pod in the token.
        pod: NamespacedName,
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
            Self::NoPod => "no_pod",
            Self::Pod(refusal) => refusal.word(),
            Self::NoGateway { .. } => "no_gateway",
        }
    }

    /// Whether a pod that is about to be known could change the answer.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Pod(refusal) if refusal.may_pass())
    }
}

const ZTUNNEL: &[&str] = &[
    type_urls::AUTHORIZATION,
    type_urls::ADDRESS,
    type_urls::WORKLOAD,
];

const WAYPOINT: &[&str] = &[
    type_urls::ROUTE_POLICY,
    type_urls::SERVICE_ROUTES,
    type_urls::WAYPOINT,
    type_urls::ADDRESS,
];

/// What `caller`, who claims `claim`, is served. `residents` are the pods of the cluster.
///
/// # Errors
/// Says which part of the claim is missing, unknown or untrue.
pub fn decide(caller: &Caller, claim: &Claim, residents: &Residents) -> Result<Scope, Refusal> {
    if claim.id.is_empty() {
        return Err(Refusal::NoNode);
    }
    let parts: Vec<&str> = claim.id.split('~').collect();
    let [kind, _, _, _] = parts[..] else {
        let id = shorten(&claim.id);
        return Err(Refusal::NodeId { id });
    };
    let is_waypoint = match kind {
        "ztunnel" => false,
        "waypoint" => true,
        _ => {
            let kind = shorten(kind);
            return Err(Refusal::Kind { kind });
        }
    };
    agrees("NAMESPACE", claim.namespace.as_deref(), caller.namespace())?;
    let account = claim.service_account.as_deref();
    agrees("SERVICE_ACCOUNT", account, caller.service_account())?;
    if is_waypoint {
        return Ok(Scope {
            types: WAYPOINT,
            only_by_name: &[type_urls::ADDRESS],
            gateway: Some(gateway(caller, residents)?),
            // It has no use for what else is on its node.
            node: None,
            takes_pages: claim.takes_pages,
        });
    }
    // The node is what the issuer of the token says, where it says anything.
    let proven = caller.node.as_deref().map(str::to_owned);
    Ok(Scope {
        types: ZTUNNEL,
        only_by_name: &[],
        gateway: None,
        node: proven.or_else(|| claim.node.clone()),
        takes_pages: claim.takes_pages,
    })
}

/// The gateway that the pod of the caller's token is an instance of.
fn gateway(caller: &Caller, residents: &Residents) -> Result<NamespacedName, Refusal> {
    let resident = allow::callers_pod(caller, residents).map_err(Refusal::Pod)?;
    let (Some(resident), Some(pod)) = (resident, &caller.pod) else {
        return Err(Refusal::NoPod);
    };
    let named = |name: &std::sync::Arc<str>| NamespacedName::new(caller.namespace(), name.clone());
    match &resident.gateway {
        Some(gateway) if !gateway.is_empty() => Ok(named(gateway)),
        _ => Err(Refusal::NoGateway {
            pod: named(&pod.name),
        }),
    }
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
    use crate::ca::PodReference;
    use crate::shelf::residents::Resident;

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
        let scope = decide(&caller(), &claim, &Residents::default()).unwrap();
        assert_eq!(scope.types, ZTUNNEL);
        assert_eq!(scope.node.as_deref(), Some("n1"), "the token knows better");
        assert!(scope.takes_pages);
        assert!(
            decide(&caller(), &super::tests::claim(ID), &Residents::default()).is_ok(),
            "metadata may be absent"
        );
    }

    #[test]
    fn refuses_with_the_reason() {
        let residents = Residents::default();
        let refused = |claim: Claim| decide(&caller(), &claim, &residents).unwrap_err().word();
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

    #[test]
    fn a_waypoint_is_what_the_cluster_says_its_pod_is() {
        let resident = |account: &str, gateway: Option<&str>| Resident {
            uid: "u".into(),
            service_account: account.into(),
            node: "n1".into(),
            gateway: gateway.map(Into::into),
        };
        let mut residents = Residents::default();
        residents.insert("n", "gate-0", resident("gate", Some("gate")));
        residents.insert("n", "web-0", resident("gate", None));
        residents.insert("n", "other-0", resident("other", Some("other")));
        let caller = |pod: Option<(&str, &str)>| Caller {
            identity: Identity::parse("spiffe://cluster.local/ns/n/sa/gate").unwrap(),
            pod: pod.map(|(name, uid)| PodReference {
                name: name.into(),
                uid: uid.into(),
            }),
            node: None,
        };
        // What it claims to be does not count.
        let claim = Claim {
            node: Some("n1".into()),
            ..claim("waypoint~10.0.0.1~other-0.n~n.svc.cluster.local")
        };
        let scope = decide(&caller(Some(("gate-0", "u"))), &claim, &residents).unwrap();
        assert_eq!(scope.gateway, Some(NamespacedName::new("n", "gate")));
        assert_eq!((scope.types, scope.node), (WAYPOINT, None));
        assert!(!scope.types.contains(&type_urls::AUTHORIZATION));
        assert_eq!(scope.only_by_name, [type_urls::ADDRESS]);
        for (pod, word, may_pass) in [
            (None, "no_pod", false),
            (Some(("web-0", "u")), "no_gateway", false),
            (Some(("gate-0", "v")), "other_pod", true),
            (Some(("gate-1", "u")), "unknown_pod", true),
            (Some(("other-0", "u")), "other_account", false),
        ] {
            let refusal = decide(&caller(pod), &claim, &residents).unwrap_err();
            assert_eq!(refusal.word(), word, "{pod:?}");
            assert_eq!(refusal.may_pass(), may_pass, "{pod:?}");
        }
    }
}
