//! Pure. AuthorizationPolicy to what node proxies enforce, or waypoints. Source: docs/compat.md#authorization-policies.
//!
//! What cannot be honoured never widens what is admitted: an ALLOW rule that cannot be enforced in full is left out,
//! and what cannot be enforced of a DENY rule is left out of the rule, so that it refuses more.

mod attached;
mod rule;
mod condition;
mod source;
mod request;
mod value;
mod notes;
pub mod report;

use mesh::identity::TrustDomain;
use mesh::model::attached::RequestAuthorization;
use mesh::model::{self, Origin, PolicyScope};
use mesh::names::NamespacedName;
use objects::istio::AuthorizationPolicy;
use objects::istio::authorization_policy::{Action, AuthorizationPolicySpec, TargetRef};
use objects::labels::Labels;
use objects::object::Unread;
use objects::raw::Path;

use super::rule::Rule;
use super::{Finding, attachment};
use notes::Notes;

/// Only reports what it would do.
const DRY_RUN: &str = "istio.io/dry-run";
/// `ignore` reads L7 parts of DENY rules as Istio does.
const L7_DENY: &str = "weft.dev/l7-deny-at-l4";

/// What an AuthorizationPolicy comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// What node proxies enforce; `None` when that is nothing.
    pub policy: Option<model::Policy>,
    /// Labels of the workloads that name it in their record, when it is for some only.
    pub selector: Option<Labels>,
    /// What it is attached to instead of workloads, and where each of them is written.
    pub targets: Vec<(TargetRef, Path)>,
    /// What waypoints enforce of one that is attached to something.
    pub attached: Option<RequestAuthorization>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
    /// Whether a value in it cannot be read: its last good version stays in force where there is one.
    pub is_rejected: bool,
}

/// How rules are read that L4 cannot enforce in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// ALLOW: they are left out.
    Allow,
    /// DENY: they refuse more.
    Deny,
    /// DENY, as Istio does: an alternative with nothing left in it never matches.
    LikeIstio,
}

/// What of the mesh a policy's meaning depends on.
#[derive(Clone, Copy, Debug)]
pub struct Mesh<'a> {
    /// The namespace whose policies are for the whole mesh.
    pub root: &'a str,
    /// The trust domain of everybody who can connect.
    pub trust_domain: &'a TrustDomain,
}

/// Translates a policy; `unread` is what of its document has no place in `object`.
pub fn translate(mesh: Mesh<'_>, object: &AuthorizationPolicy, unread: &[Unread]) -> Translated {
    let mut notes = Notes::new(unread, mesh.trust_domain);
    let spec = &object.spec;
    let targets = attachment::references(spec.target_ref.as_ref(), &spec.target_refs);
    let targets: Vec<_> = targets.map(|(it, path)| (it.clone(), path)).collect();
    let selector = spec.selector.as_ref().map(|it| &it.match_labels);
    let selector = selector.filter(|labels| !labels.is_empty());
    for (target, path) in &targets {
        let complaint = attachment::complaint(mesh.root, &object.metadata.namespace, target);
        if let Some((key, reason)) = complaint {
            notes.invalid(path.clone().key(key), reason);
        }
    }
    let (policy, attached) = match targets.is_empty() {
        true => (
            enforced(mesh.root, object, selector.is_some(), &mut notes),
            None,
        ),
        false => (None, attached::enforced(object, &mut notes)),
    };
    if !targets.is_empty() && selector.is_some() {
        let path = Path::of_keys(&["spec", "selector"]);
        notes.invalid(path, "a policy has a selector or targetRefs, not both");
    }
    if let Some(path) = notes.unread_below(&Path::of_keys(&["spec", "selector"])) {
        notes.invalid(
            path.clone(),
            "whom the policy is for is unclear: a selector has matchLabels only",
        );
    }
    Translated {
        selector: selector.filter(|_| policy.is_some()).cloned(),
        policy,
        targets,
        attached,
        is_rejected: notes.is_rejected(),
        findings: notes.into_findings(),
    }
}

/// What node proxies enforce of a policy that is for workloads.
fn enforced(
    root: &str,
    object: &AuthorizationPolicy,
    has_selector: bool,
    notes: &mut Notes<'_>,
) -> Option<model::Policy> {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let unsupported = |word: &str, notes: &mut Notes<'_>| {
        let reason =
            format!("action {word} is for waypoints: node proxies enforce nothing of this policy");
        notes.add(
            Rule::UnsupportedAction,
            Path::of_keys(&["spec", "action"]),
            reason,
        );
        None
    };
    let action = match spec.action {
        Action::Allow => model::Action::Allow,
        Action::Deny => model::Action::Deny,
        Action::Audit => return unsupported("AUDIT", notes),
        Action::Custom => return unsupported("CUSTOM", notes),
    };
    let (namespace, name) = (&*metadata.namespace, &*metadata.name);
    if namespace == root {
        accounts_of_root(spec, notes);
    }
    Some(model::Policy {
        key: NamespacedName::new(namespace, name),
        scope: match has_selector {
            true => PolicyScope::WorkloadSelector,
            false if namespace == root => PolicyScope::Global,
            false => PolicyScope::Namespace,
        },
        action,
        rules: rules(object, action, notes),
        dry_run: dry_run(object, notes),
        origin: Some(Origin::object("AuthorizationPolicy", namespace, name)),
    })
}

/// Service accounts without a namespace, in a policy that workloads of any namespace may be under.
fn accounts_of_root(spec: &AuthorizationPolicySpec, notes: &mut Notes<'_>) {
    for (index, rule) in spec.rules.iter().enumerate() {
        for (number, from) in rule.from.iter().flatten().enumerate() {
            let source = &from.source;
            let lists = [
                ("serviceAccounts", &source.service_accounts),
                ("notServiceAccounts", &source.not_service_accounts),
            ];
            for (key, values) in lists {
                let values = values.iter().flatten().enumerate();
                for (place, text) in values.filter(|(_, text)| !text.contains('/')) {
                    let path = Path::of_keys(&["spec", "rules"]).at(index).key("from");
                    let path = path.at(number).key("source").key(key).at(place);
                    let reason = format!(
                        "{text} is the account of the root namespace alone, whatever the workload's"
                    );
                    notes.add(Rule::AccountOfRootNamespace, path, reason);
                }
            }
        }
    }
}

fn rules(
    object: &AuthorizationPolicy,
    action: model::Action,
    notes: &mut Notes<'_>,
) -> Vec<model::Rule> {
    let spec = &object.spec;
    let reading = match action {
        model::Action::Allow => {
            if object.metadata.annotations.has(L7_DENY) {
                let path = Path::of_keys(&["metadata", "annotations", L7_DENY]);
                notes.add(
                    Rule::NotHonoured,
                    path,
                    "it is about DENY policies, and this is none",
                );
            }
            Reading::Allow
        }
        model::Action::Deny if reads_like_istio(object, notes) => Reading::LikeIstio,
        model::Action::Deny => Reading::Deny,
    };
    let path = Path::of_keys(&["spec", "rules"]);
    if spec.rules.is_empty() && action == model::Action::Deny {
        let reason = "a DENY policy without rules never refuses anything";
        notes.add(Rule::PolicyWithoutEffect, Path::of_keys(&["spec"]), reason);
    }
    let indexed = spec.rules.iter().enumerate();
    let rules: Vec<_> = indexed
        .filter_map(|(index, one)| {
            rule::translate(
                &object.metadata.namespace,
                one,
                &path.clone().at(index),
                reading,
                notes,
            )
        })
        .collect();
    if rules.is_empty() && !spec.rules.is_empty() && action == model::Action::Allow {
        let reason = "none of its rules can be enforced at L4, so this policy admits nobody";
        notes.add(Rule::PolicyAdmitsNobody, path, reason);
    }
    rules
}

fn reads_like_istio(object: &AuthorizationPolicy, notes: &mut Notes<'_>) -> bool {
    match object.metadata.annotations.get(L7_DENY) {
        None => false,
        Some("ignore") => true,
        Some(other) => {
            let reason = format!("{other:?} has no effect: the only value is `ignore`");
            notes.add(
                Rule::NotHonoured,
                Path::of_keys(&["metadata", "annotations", L7_DENY]),
                reason,
            );
            false
        }
    }
}

fn dry_run(object: &AuthorizationPolicy, notes: &mut Notes<'_>) -> bool {
    match object.metadata.annotations.get(DRY_RUN) {
        None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => false,
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => true,
        Some(other) => {
            let path = Path::of_keys(&["metadata", "annotations", DRY_RUN]);
            notes.invalid(path, format!("{other:?} is neither true nor false"));
            false
        }
    }
}

#[cfg(test)]
mod tests;
