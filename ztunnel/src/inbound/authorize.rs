//! Pure. Facts of an inbound connection and the policies of a snapshot -> admitted or not.

use std::net::{IpAddr, SocketAddr};

use mesh::authz::{self, Verdict};
pub use mesh::authz::{Denial, Facts};
use mesh::flow::Reason;
use mesh::identity::Identity;
use mesh::model::{Action, Origin};
use mesh::names::NamespacedName;
use mesh::state::{Snapshot, WorkloadView};

use crate::pod::Attempt;

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// What its certificate proved; `None` for plain connections.
    pub identity: Option<&'a Identity>,
    /// TCP peer.
    pub address: IpAddr,
}

/// Decides whether a new connection is admitted. It waits until the controller has said which
/// policies there are, for one that the workload names and that has not arrived, and while one may apply that could
/// not be read: no policy, no admission. The answer names the policy that allows, if there is one. Source: docs/compat.md#authorization-record.
pub fn decide(
    snapshot: &Snapshot,
    pod: WorkloadView<'_>,
    caller: &Caller<'_>,
    application: SocketAddr,
) -> Attempt<Result<Option<NamespacedName>, Denial>> {
    let Some(policies) = snapshot.policies_for(pod.id()) else {
        return Attempt::Later(Reason::WorkloadUnknown);
    };
    if policies.rejected().is_some() {
        return Attempt::Later(Reason::PolicyRejected);
    }
    if !snapshot.knows_policies() || policies.missing().next().is_some() {
        return Attempt::Later(Reason::PolicyNotArrived);
    }
    Attempt::Answer(
        match authz::decide(&facts(caller, application), policies.found()) {
            Verdict::Allowed(policy) => Ok(policy),
            Verdict::Denied(denial) => Err(denial),
        },
    )
}

/// What a policy that only reports would have done with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The policy.
    pub policy: NamespacedName,
    /// What it would have done.
    pub effect: Effect,
    /// The rule that matches, counted from zero.
    pub rule: Option<usize>,
    /// The user's object behind the policy.
    pub origin: Option<Origin>,
}

/// What a policy would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An ALLOW policy matches.
    Admits,
    /// An ALLOW policy does not match: it alone would admit nobody like this.
    DoesNotAdmit,
    /// A DENY policy matches.
    Refuses,
}

impl Effect {
    /// The word in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Effect::Admits => "admits",
            Effect::DoesNotAdmit => "does not admit",
            Effect::Refuses => "refuses",
        }
    }
}

/// What the policies that only report would have done; a DENY policy that does not match is not worth a word.
/// Empty, and without an allocation, where there are none.
pub fn rehearse(
    snapshot: &Snapshot,
    pod: WorkloadView<'_>,
    caller: &Caller<'_>,
    application: SocketAddr,
) -> Vec<Rehearsal> {
    let Some(policies) = snapshot.policies_for(pod.id()) else {
        return Vec::new();
    };
    let facts = facts(caller, application);
    let runs = authz::dry_runs(&facts, policies.found());
    let told = runs.filter_map(|run| {
        let effect = match (run.policy.action, run.rule) {
            (Action::Allow, Some(_)) => Effect::Admits,
            (Action::Allow, None) => Effect::DoesNotAdmit,
            (Action::Deny, Some(_)) => Effect::Refuses,
            (Action::Deny, None) => return None,
        };
        Some(Rehearsal {
            policy: run.policy.key.clone(),
            effect,
            rule: run.rule,
            origin: run.policy.origin.clone(),
        })
    });
    told.collect()
}

/// Who closes a live connection, if anybody does. A policy that has not arrived cuts nothing.
pub fn denied_now(
    snapshot: &Snapshot,
    pod: WorkloadView<'_>,
    caller: &Caller<'_>,
    application: SocketAddr,
) -> Option<Denial> {
    let policies = snapshot.policies_for(pod.id())?;
    match authz::decide(&facts(caller, application), policies.found()) {
        Verdict::Denied(denial) => Some(denial),
        Verdict::Allowed(_) => None,
    }
}

/// What policies look at.
pub fn facts<'a>(caller: &Caller<'a>, application: SocketAddr) -> Facts<'a> {
    Facts {
        source_identity: caller.identity,
        source_ip: caller.address,
        destination_ip: application.ip(),
        destination_port: application.port(),
        request: None,
    }
}

#[cfg(test)]
mod tests;
