//! Decides again about live connections when policies change, and closes what is no longer allowed.

use std::rc::Rc;

use mesh::flow::{Direction, Reason};
use mesh::identity::Identity;

use super::authorize::{self, Caller};
use super::report;
use crate::connections::Cut;
use crate::pod::Pod;

/// Decides again about live connections whenever the pod's policies change, and closes what is no
/// longer allowed. A policy that has not arrived cuts nothing.
///
/// Never ends by itself: it watches for as long as there may be connections, also while draining.
pub async fn follow_policies(pod: Rc<Pod>) {
    let mut changed = pod.shared.state.changed();
    let mut seen = pod.shared.state.load().policy_version();
    while changed.changed().await.is_ok() {
        let snapshot = pod.shared.state.load();
        if snapshot.policy_version() == seen {
            continue;
        }
        // Without the pod's record nothing is decided, and the change stays to be dealt with.
        let Some(own) = pod.own_record(&snapshot) else {
            continue;
        };
        seen = snapshot.policy_version();
        pod.connections.close_where(|facts| {
            if facts.direction != Direction::Inbound {
                return None;
            }
            let identity: Option<&Identity> = facts.tunnel.as_ref().map(|t| &t.peer.identity);
            let caller = Caller {
                identity,
                address: facts.source.ip(),
            };
            let denial = authorize::denied_now(&snapshot, own, &caller, facts.destination)?;
            let facts = authorize::facts(&caller, facts.destination);
            let shows = pod.shared.config.shows_decisions;
            report::decided(shows, &Err(denial.clone()), &facts);
            let decisions = &pod.shared.metrics.decisions;
            decisions.denied(denial.policy.clone(), denial.rule, Reason::PolicyChanged);
            Some(Cut {
                reason: Reason::PolicyChanged,
                origin: denial.rule_behind(),
            })
        });
    }
}
