//! Asks `request` and `authorize` about a connection, again after every change of the picture while
//! something is missing, and notes in its record who both ends are.

use std::net::SocketAddr;

use mesh::flow::{EndsFlow, Reason};
use mesh::hbone::ConnectHead;
use mesh::state::{Hit, Lookup, Snapshot};

use super::authorize::{self, Caller, Denial, Facts, Rehearsal};
use super::report::{self, Verdict};
use super::request::{NoTarget, Target};
use super::{Link, request};
use crate::pod::{Attempt, Pod};
use crate::record::Draft;

/// Why a connection is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// It makes no sense, or something it needs has not arrived.
    #[error("not admitted: {}", .0.word())]
    Early(Reason),
    /// A policy says so.
    #[error(transparent)]
    Denied(#[from] Denial),
}

impl EndsFlow for NotAdmitted {
    fn reason(&self) -> Reason {
        match self {
            NotAdmitted::Early(reason) => *reason,
            NotAdmitted::Denied(denial) => denial.reason(),
        }
    }
}

/// Whether a plain connection is allowed.
pub(super) async fn plain(
    pod: &Pod,
    source: SocketAddr,
    destination: SocketAddr,
    draft: &mut Draft,
) -> Result<(), NotAdmitted> {
    let caller = Caller {
        identity: None,
        address: source.ip(),
    };
    let mut rehearsed = Vec::new();
    let outcome = pod.ask(|snapshot, _| {
        let Some(own) = pod.own_record(snapshot) else {
            return Attempt::Later(Reason::WorkloadUnknown);
        };
        describe(pod, snapshot, source, draft);
        let service = request::likely_service(snapshot, own, None, destination.port());
        draft.service_is(service);
        rehearsed = authorize::rehearse(snapshot, own, &caller, destination);
        authorize::decide(snapshot, own, &caller, destination)
    });
    let verdict = outcome.await.map_err(NotAdmitted::Early)?;
    rehearsed
        .iter()
        .for_each(|it| tell(pod, it, &caller, destination));
    settle(pod, verdict, &authorize::facts(&caller, destination), draft)?;
    Ok(())
}

/// What a CONNECT asks for, once it is allowed.
pub(super) async fn tunnelled(
    pod: &Pod,
    link: &Link,
    head: &ConnectHead,
    draft: &mut Draft,
) -> Result<Target, NotAdmitted> {
    let caller = Caller {
        identity: Some(&link.peer.identity),
        address: link.source.ip(),
    };
    let mut rehearsed = Vec::new();
    let outcome = pod.ask(|snapshot, answered| {
        let Some(own) = pod.own_record(snapshot) else {
            return Attempt::Later(Reason::WorkloadUnknown);
        };
        describe(pod, snapshot, link.source, draft);
        let asked = request::Asked {
            authority: &head.authority,
            dialled: link.local.ip(),
            pod: own,
            doors: &pod.shared.config.doors,
            answered,
        };
        let target = match request::target(snapshot, &asked) {
            Ok(target) => target,
            Err(NoTarget::Refused(reason)) => return Attempt::Answer(Err(reason)),
            Err(NoTarget::Ask(name)) => return Attempt::Ask(name),
        };
        let named = head.forwarded.as_ref().and_then(|it| it.host.as_deref());
        let service = request::likely_service(snapshot, own, named, target.application.port());
        draft.service_is(service);
        rehearsed = authorize::rehearse(snapshot, own, &caller, target.application);
        match authorize::decide(snapshot, own, &caller, target.application) {
            Attempt::Answer(verdict) => Attempt::Answer(Ok((target, verdict))),
            Attempt::Later(why) => Attempt::Later(why),
            Attempt::Ask(name) => Attempt::Ask(name),
        }
    });
    let (target, verdict) = outcome
        .await
        .and_then(|answer| answer)
        .map_err(NotAdmitted::Early)?;
    rehearsed
        .iter()
        .for_each(|it| tell(pod, it, &caller, target.application));
    let facts = authorize::facts(&caller, target.application);
    settle(pod, verdict, &facts, draft)?;
    Ok(target)
}

/// Notes in the record who both ends are, as far as the mesh knows.
///
/// A caller that is only to be asked for is mentioned: nobody waits for what telemetry alone wants.
fn describe(pod: &Pod, snapshot: &Snapshot, source: SocketAddr, draft: &mut Draft) {
    let Some(own) = pod.own_record(snapshot) else {
        return;
    };
    let proven = draft.source.identity.take();
    let found = snapshot.find_address(own.network(), source.ip(), own.namespace(), &[]);
    let client = match found {
        Lookup::Found(Hit::Workload(id)) => snapshot.workload(id),
        Lookup::Ask(name) => {
            pod.mention(&name);
            None
        }
        Lookup::Found(Hit::Service(_)) | Lookup::Absent => None,
    };
    draft.source_is(source, client, proven);
    let own_identity = draft
        .source
        .identity
        .is_some()
        .then(|| own.identity().clone());
    draft.destination_is(draft.destination.address, Some(own), own_identity);
}

/// Says what was decided, and notes the rule behind a refusal.
fn settle(pod: &Pod, verdict: Verdict, facts: &Facts<'_>, draft: &mut Draft) -> Result<(), Denial> {
    report::decided(pod.shared.config.shows_decisions, &verdict, facts);
    verdict.map(|_| ()).inspect_err(|denial| {
        draft.origin = denial.rule_behind();
        let (policy, rule) = (denial.policy.clone(), denial.rule);
        let decisions = &pod.shared.metrics.decisions;
        decisions.denied(policy, rule, denial.reason());
    })
}

/// Reports what a policy that is not enforced would have done.
fn tell(pod: &Pod, rehearsal: &Rehearsal, caller: &Caller<'_>, application: SocketAddr) {
    let decisions = &pod.shared.metrics.decisions;
    decisions.dry_run(rehearsal.policy.clone(), rehearsal.effect.word());
    tracing::info!(
        policy = %rehearsal.policy,
        effect = rehearsal.effect.word(),
        rule = rehearsal.rule,
        origin = rehearsal.origin.as_ref().map(tracing::field::display),
        src.addr = %caller.address,
        src.identity = caller.identity.map(tracing::field::display),
        dst.addr = %application,
        "dry-run policy"
    );
}
