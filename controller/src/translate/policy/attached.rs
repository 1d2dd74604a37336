//! Pure. What waypoints enforce of a policy that is attached to something. Source: docs/compat.md#request-authorization.

use mesh::model::attached::{RequestAction, RequestAuthorization};
use objects::istio::AuthorizationPolicy;
use objects::istio::authorization_policy::Action;
use objects::raw::Path;

use super::notes::{Enforcer, Notes};
use super::{L7_DENY, Reading, dry_run, rule};
use crate::translate::rule::Rule;

/// The policy as waypoints know it. What of an ALLOW rule cannot be read admits nobody, what of another one cannot be
/// read is about more requests.
pub(super) fn enforced(
    object: &AuthorizationPolicy,
    notes: &mut Notes<'_>,
) -> Option<RequestAuthorization> {
    let spec = &object.spec;
    let provider = spec.provider.as_ref().map(|it| it.name.as_str());
    let (action, reading, enforcer) = match spec.action {
        Action::Allow => (RequestAction::Allow, Reading::Allow, Enforcer::Waypoint),
        Action::Deny => (RequestAction::Deny, Reading::Deny, Enforcer::Waypoint),
        Action::Audit => (RequestAction::Audit, Reading::Deny, Enforcer::Waypoint),
        Action::Custom => {
            if provider.is_none_or(str::is_empty) {
                let path = Path::of_keys(&["spec", "provider", "name"]);
                notes.invalid(
                    path,
                    "a CUSTOM policy names an extension provider of MeshConfig",
                );
            }
            let action = RequestAction::Custom(provider.unwrap_or_default().into());
            (action, Reading::Deny, Enforcer::WaypointBeforeTokens)
        }
    };
    if spec.action != Action::Custom && provider.is_some() {
        let path = Path::of_keys(&["spec", "provider"]);
        notes.invalid(path, "only a CUSTOM policy has a provider");
    }
    if object.metadata.annotations.has(L7_DENY) {
        let path = Path::of_keys(&["metadata", "annotations", L7_DENY]);
        let reason = "waypoints enforce every part of a policy";
        notes.add(Rule::NotHonoured, path, reason);
    }
    notes.at_waypoints(enforcer);
    let path = Path::of_keys(&["spec", "rules"]);
    let rules = spec.rules.iter().enumerate();
    let rules: Vec<_> = rules
        .filter_map(|(index, one)| {
            let (namespace, path) = (&object.metadata.namespace, path.clone().at(index));
            rule::translate(namespace, one, &path, reading, notes)
        })
        .collect();
    if spec.rules.is_empty() && spec.action != Action::Allow {
        let reason = "without rules it is about no request";
        notes.add(Rule::PolicyWithoutEffect, Path::of_keys(&["spec"]), reason);
    }
    if rules.is_empty() && !spec.rules.is_empty() && spec.action == Action::Allow {
        let reason = "none of its rules can be enforced, so this policy admits nobody";
        notes.add(Rule::PolicyAdmitsNobody, path, reason);
    }
    Some(RequestAuthorization {
        action,
        rules,
        dry_run: dry_run(object, notes),
    })
}
