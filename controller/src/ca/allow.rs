//! Pure. May this caller have a certificate for this identity? Decided from who lives where.
//!
//! A caller always may have its own identity. A node proxy may have those of the pods on its node:
//! it must be one of the trusted accounts, its pod must be the one its token was issued to, and at
//! least one pod with the wanted service account must be on the same node.

use std::collections::BTreeSet;

use mesh::identity::{Identity, ParseError, TrustDomain};
use mesh::names::NamespacedName;

use super::Caller;
use crate::shelf::residents::{Resident, Residents};

/// Who may ask for whom.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// Service accounts of node proxies.
    pub node_accounts: &'a BTreeSet<NamespacedName>,
    /// The only trust domain that is signed for.
    pub trust_domain: TrustDomain,
}

/// Why a caller may not have an identity. For the log; callers hear only that it is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The wanted identity is no identity of a mesh.
    #[error("wanted identity {text:?} cannot be read")]
    Unreadable {
        /// What was wanted, its beginning.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The wanted identity is of another trust domain.
    #[error("trust domain {found} is not ours, {ours}")]
    TrustDomain {
        /// The wanted one.
        found: TrustDomain,
        /// Ours.
        ours: TrustDomain,
    },
    /// The caller asked for somebody else and is no node proxy.
    #[error("{caller} is not the account of a node proxy")]
    NotTrusted {
        /// The caller's account.
        caller: NamespacedName,
    },
    /// The caller's token is bound to no pod, so its node is unknown.
    #[error("token is bound to no pod")]
    NoPod,
    /// There is no pod of the name in the token.
    #[error("pod {pod} does not exist")]
    UnknownPod {
        /// The pod in the token.
        pod: NamespacedName,
    },
    /// The pod was made anew since the token was issued.
    #[error("pod {pod} has uid {found:?}, the token says {claimed:?}")]
    OtherPod {
        /// The pod in the token.
        pod: NamespacedName,
        /// Its uid now.
        found: String,
        /// The uid in the token.
        claimed: String,
    },
    /// The pod runs under another account than the token's.
    #[error("pod {pod} runs as {found:?}, the token says {claimed:?}")]
    OtherAccount {
        /// The pod in the token.
        pod: NamespacedName,
        /// Its service account.
        found: String,
        /// The service account in the token.
        claimed: String,
    },
    /// The pod is on another node than the token says.
    #[error("pod {pod} is on node {found:?}, the token says {claimed:?}")]
    OtherNode {
        /// The pod in the token.
        pod: NamespacedName,
        /// Its node.
        found: String,
        /// The node in the token.
        claimed: String,
    },
    /// No pod with the wanted account is on the caller's node.
    #[error("no pod of {account} is on node {node:?}")]
    NobodyThere {
        /// The wanted account.
        account: NamespacedName,
        /// The caller's node.
        node: String,
    },
}

impl Refusal {
    /// Whether a pod that is about to be known could change the answer.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::UnknownPod { .. } | Self::OtherPod { .. } | Self::NobodyThere { .. }
        )
    }

    /// One word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "identity_unreadable",
            Self::TrustDomain { .. } => "trust_domain",
            Self::NotTrusted { .. } => "not_trusted",
            Self::NoPod => "no_pod",
            Self::UnknownPod { .. } => "unknown_pod",
            Self::OtherPod { .. } => "other_pod",
            Self::OtherAccount { .. } => "other_account",
            Self::OtherNode { .. } => "other_node",
            Self::NobodyThere { .. } => "nobody_there",
        }
    }
}

/// The identity `caller` gets: its own, or the `wanted` one.
///
/// # Errors
/// Says which condition does not hold.
pub fn allow(
    caller: &Caller,
    wanted: Option<&str>,
    rules: &Rules<'_>,
    residents: &Residents,
) -> Result<Identity, Refusal> {
    same_trust_domain(&caller.identity, rules)?;
    let node = callers_pod(caller, residents)?.map(|it| &*it.node);
    let Some(text) = wanted else {
        return Ok(caller.identity.clone());
    };
    let wanted = Identity::parse(text).map_err(|source| Refusal::Unreadable {
        text: shorten(text),
        source,
    })?;
    same_trust_domain(&wanted, rules)?;
    if wanted == caller.identity {
        return Ok(wanted);
    }
    let account = NamespacedName::new(caller.namespace(), caller.service_account());
    if !rules.node_accounts.contains(&account) {
        return Err(Refusal::NotTrusted { caller: account });
    }
    let node = node.ok_or(Refusal::NoPod)?;
    if !residents.has_on_node(node, &wanted.namespace, &wanted.service_account) {
        let account = NamespacedName::new(wanted.namespace.clone(), wanted.service_account.clone());
        return Err(Refusal::NobodyThere {
            account,
            node: node.to_owned(),
        });
    }
    Ok(wanted)
}

/// Foreign text in errors is cut.
fn shorten(text: &str) -> String {
    text.chars().take(256).collect()
}

fn same_trust_domain(identity: &Identity, rules: &Rules<'_>) -> Result<(), Refusal> {
    if identity.trust_domain == rules.trust_domain {
        return Ok(());
    }
    let (found, ours) = (identity.trust_domain.clone(), rules.trust_domain.clone());
    Err(Refusal::TrustDomain { found, ours })
}

/// The pod in the caller's token, when the token is bound to one.
///
/// # Errors
/// When there is no such pod, or it is not the very pod that the token was issued to.
pub fn callers_pod<'a>(
    caller: &Caller,
    residents: &'a Residents,
) -> Result<Option<&'a Resident>, Refusal> {
    let Some(claimed) = &caller.pod else {
        return Ok(None);
    };
    let pod = NamespacedName::new(caller.namespace(), claimed.name.clone());
    let Some(resident) = residents.pod(caller.namespace(), &claimed.name) else {
        return Err(Refusal::UnknownPod { pod });
    };
    if *resident.uid != *claimed.uid {
        let (found, claimed) = (resident.uid.to_string(), claimed.uid.to_string());
        return Err(Refusal::OtherPod {
            pod,
            found,
            claimed,
        });
    }
    if *resident.service_account != *caller.service_account() {
        let found = resident.service_account.to_string();
        return Err(Refusal::OtherAccount {
            pod,
            found,
            claimed: caller.service_account().to_owned(),
        });
    }
    match &caller.node {
        Some(node) if **node != *resident.node => Err(Refusal::OtherNode {
            pod,
            found: resident.node.to_string(),
            claimed: node.to_string(),
        }),
        _ => Ok(Some(resident)),
    }
}

#[cfg(test)]
mod tests;
