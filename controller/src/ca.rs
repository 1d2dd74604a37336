//! Recipe of the certificate authority: authenticate the caller, allow the identity, sign.
//!
//! A request enters at `serve`, `authenticate` says who calls, `allow` which identity the answer
//! may name, `limit` how often, `sign` makes the certificate with the key that `root` keeps.

pub mod authenticate;
pub mod allow;
pub mod limit;
pub mod sign;
pub mod root;

use std::sync::Arc;

use mesh::identity::Identity;

/// The pod that a token was issued to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodReference {
    /// Name of the pod; its namespace is that of the caller's identity.
    pub name: Arc<str>,
    /// Its unique id: a pod of the same name made anew has another one.
    pub uid: Arc<str>,
}

/// Who calls, as the token proved it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Namespace and service account, in this mesh's trust domain.
    pub identity: Identity,
    /// The pod the token is bound to; `None` for tokens that are bound to no pod.
    pub pod: Option<PodReference>,
    /// The node that pod runs on, as the issuer knew it.
    pub node: Option<Arc<str>>,
}

impl Caller {
    /// Namespace of the caller's service account.
    pub fn namespace(&self) -> &str {
        &self.identity.namespace
    }

    /// The caller's service account.
    pub fn service_account(&self) -> &str {
        &self.identity.service_account
    }
}
