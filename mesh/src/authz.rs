//! Pure. The one policy engine: facts of a connection and the policies that apply -> admitted or not.
//!
//! Both proxies decide with it, and so do `weft explain` and `weft analyze`. Policies that a workload
//! names and that have not arrived are the caller's business: it must not ask before they are there.
//! Source: contract, authorization at L4, docs/compat.md#authorization-record.

mod matcher;

use std::fmt;
use std::net::IpAddr;

use crate::flow::{EndsFlow, Reason};
use crate::identity::Identity;
use crate::model::{Action, Origin, Policy};
use crate::names::NamespacedName;

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the peer's certificate proved; `None` for plain text.
    pub source_identity: Option<&'a Identity>,
    /// TCP peer: the client, or the proxy that carries it.
    pub source_ip: IpAddr,
    /// Address the application is reached at.
    pub destination_ip: IpAddr,
    /// Port the application is reached at, never the tunnel's.
    pub destination_port: u16,
}

/// Admitted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By this ALLOW policy, or because there is none.
    Allowed(Option<NamespacedName>),
    /// Not.
    Denied(Denial),
}

/// Who refused a connection. Displayed in the contract's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The DENY policy that matched; `None` when there are ALLOW policies and none matched.
    pub policy: Option<NamespacedName>,
    /// Its rule, counted from zero.
    pub rule: Option<usize>,
    /// The user's object behind the policy.
    pub origin: Option<Origin>,
}

impl Denial {
    /// The rule that refused: of the user's object where the policy came with one, else of the policy
    /// itself. None when no ALLOW policy matched.
    pub fn rule_behind(&self) -> Option<Origin> {
        let policy = self.policy.as_ref()?;
        let of_policy = || Origin::object("policy", policy.namespace.clone(), policy.name.clone());
        let mut origin = self.origin.clone().unwrap_or_else(of_policy);
        if let Some(rule) = self.rule.filter(|_| origin.rule.is_empty()) {
            origin.rule = rule.to_string().into();
        }
        Some(origin)
    }
}

/// What a policy that only reports would have done.
#[derive(Clone, Copy, Debug)]
pub struct DryRun<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The first rule that matches, counted from zero; `None` when none does.
    pub rule: Option<usize>,
}

/// Decides. `policies` are all that apply to the destination, report-only ones included; these do
/// not count. A matching DENY refuses; then, if there are ALLOW policies, one of them must match.
pub fn decide<'a>(facts: &Facts<'_>, policies: impl IntoIterator<Item = &'a Policy>) -> Verdict {
    let subject = matcher::Subject::new(facts);
    let mut has_allow = false;
    let mut allowed_by = None;
    for policy in policies.into_iter().filter(|policy| !policy.dry_run) {
        match policy.action {
            Action::Deny => {
                if let Some(rule) = subject.matching_rule(policy) {
                    return Verdict::Denied(Denial {
                        policy: Some(policy.key.clone()),
                        rule: Some(rule),
                        origin: policy.origin.clone(),
                    });
                }
            }
            Action::Allow => {
                has_allow = true;
                if allowed_by.is_none() && subject.matching_rule(policy).is_some() {
                    allowed_by = Some(policy.key.clone());
                }
            }
        }
    }
    match allowed_by {
        None if has_allow => Verdict::Denied(Denial {
            policy: None,
            rule: None,
            origin: None,
        }),
        allowed_by => Verdict::Allowed(allowed_by),
    }
}

/// What the report-only policies among `policies` would have done, each by itself; to be logged,
/// whatever the verdict.
pub fn dry_runs<'a>(
    facts: &Facts<'a>,
    policies: impl IntoIterator<Item = &'a Policy>,
) -> impl Iterator<Item = DryRun<'a>> {
    let subject = matcher::Subject::new(facts);
    let reporting = policies.into_iter().filter(|policy| policy.dry_run);
    reporting.map(move |policy| DryRun {
        policy,
        rule: subject.matching_rule(policy),
    })
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "explicitly denied by: {policy}"),
            None => f.write_str("allow policies exist, but none allowed"),
        }
    }
}

impl std::error::Error for Denial {}

impl EndsFlow for Denial {
    fn reason(&self) -> Reason {
        Reason::PolicyDenied
    }
}

#[cfg(test)]
mod tests;
