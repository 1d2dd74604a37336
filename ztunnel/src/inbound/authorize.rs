//! Pure. Facts of an inbound connection and the policies of a snapshot -> admitted or not.

use std::net::{IpAddr, SocketAddr};

pub use mesh::authz::Denial;
use mesh::authz::{self, Verdict};
use mesh::flow::Reason;
use mesh::identity::Identity;
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
/// not be read: no policy, no admission. Source: docs/compat.md#authorization-record.
pub fn decide(
    snapshot: &Snapshot,
    pod: WorkloadView<'_>,
    caller: &Caller<'_>,
    application: SocketAddr,
) -> Attempt<Result<(), Denial>> {
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
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(denial) => Err(denial),
        },
    )
}

/// Whether a live connection must be closed. A policy that has not arrived cuts nothing.
pub fn is_denied_now(
    snapshot: &Snapshot,
    pod: WorkloadView<'_>,
    caller: &Caller<'_>,
    application: SocketAddr,
) -> bool {
    let Some(policies) = snapshot.policies_for(pod.id()) else {
        return false;
    };
    matches!(
        authz::decide(&facts(caller, application), policies.found()),
        Verdict::Denied(_)
    )
}

fn facts<'a>(caller: &Caller<'a>, application: SocketAddr) -> authz::Facts<'a> {
    authz::Facts {
        source_identity: caller.identity,
        source_ip: caller.address,
        destination_ip: application.ip(),
        destination_port: application.port(),
    }
}
