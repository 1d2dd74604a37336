//! Recipe: may an opaque connection go on? External authorization -> policies; the latter again whenever they change.
//! Source: docs/compat.md#request-authorization. Tokens and rate limits are about requests, and are not asked for.

use std::time::SystemTime;

use mesh::authz::{Facts, RequestFacts};

use crate::authorize::ask_of_connection;
use crate::authorize::external;
use crate::authorize::refusal::Refusal;
use crate::call::Call;
use crate::ending::Ending;
use crate::provider::Reached;
use crate::served::Policies;

/// A connection that is not admitted, or no more.
#[derive(Debug, thiserror::Error)]
#[error("{details}")]
pub(super) struct Denied {
    /// How it ends.
    pub(super) ending: Ending,
    /// The policy and rule behind it, as logs have it.
    pub(super) details: String,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self {
            ending: refusal.ending(),
            details: refusal.code_detail(),
        }
    }
}

/// A connection before its policies.
pub(super) struct Judge<'a> {
    call: &'a Call,
    server_name: Option<&'a str>,
}

impl<'a> Judge<'a> {
    /// About `call`, whose own TLS asks for `server_name`.
    pub(super) fn new(call: &'a Call, server_name: Option<&'a str>) -> Self {
        Self { call, server_name }
    }

    /// Whether it may begin.
    ///
    /// # Errors
    /// [`Denied`].
    pub(super) async fn admit(&self) -> Result<(), Denied> {
        let served = self.call.worker.shared.served.snapshot();
        let policies = served.policies(self.call.service_key());
        if !policies.authorization.is_empty() {
            let waypoint = served.waypoint.as_ref();
            let authorizers = waypoint.map(|it| it.authorizers.as_slice());
            let asks = |facts: &Facts<'_>| {
                let authorization = &policies.authorization;
                authorization.whom_to_ask(facts, authorizers.unwrap_or_default())
            };
            if let Some(whom) = self.with(asks)? {
                let question = external::Request {
                    source_identity: Some(&self.call.link.peer.identity),
                    source: self.call.client_address(),
                    destination: self.call.dialled(),
                    time: SystemTime::now(),
                    length: None,
                    body: None,
                };
                let reached = Reached(self.call);
                Box::pin(ask_of_connection(whom, question, &reached)).await?;
            }
            self.with(|facts| {
                for mark in policies.authorization.marks(facts) {
                    mark.report(None);
                }
            });
        }
        self.decide(policies)
    }

    /// Resolves when policies that have changed since do not admit it any more.
    pub(super) async fn revoked(&self) -> Denied {
        let served = &self.call.worker.shared.served;
        let mut changed = served.changed();
        loop {
            let current = served.snapshot();
            let policies = current.policies(self.call.service_key());
            if let Err(denied) = self.decide(policies) {
                return denied;
            }
            drop(current);
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn decide(&self, policies: &Policies) -> Result<(), Denied> {
        if let Some(name) = &policies.rejected {
            return Err(Denied {
                ending: Ending::PolicyRejected,
                details: format!("policy_rejected[{name}]"),
            });
        }
        let decided = self.with(|facts| policies.authorization.decide(facts));
        decided.map_err(Denied::from)
    }

    fn with<T>(&self, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
        let request = RequestFacts {
            remote_ip: self.call.client,
            server_name: self.server_name,
            http: None,
        };
        let dialled = self.call.dialled();
        judge(&Facts {
            source_identity: Some(&self.call.link.peer.identity),
            source_ip: self.call.client,
            destination_ip: dialled.ip(),
            destination_port: dialled.port(),
            request: Some(&request),
        })
    }
}
