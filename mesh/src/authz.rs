//! Pure. The one policy engine: facts of a connection or a request and the policies that apply -> admitted or not.
//!
//! Both proxies decide with it, and so do `weft explain` and `weft analyze`. Policies that a workload
//! names and that have not arrived are the caller's business: it must not ask before they are there.
//! Source: contract, authorization at L4, docs/compat.md#authorization-record; for requests
//! docs/compat.md#request-authorization.

mod attached;
mod matcher;
mod facts;
mod token;
pub mod template;

use std::fmt;

use crate::flow::{EndsFlow, Reason};
use crate::model::{Action, Origin, Policy, Rule};
use crate::names::NamespacedName;
use matcher::{Subject, Unreadable};

pub use attached::{Attached, Question, audits, decide_request, dry_runs_of_requests, question};
pub use facts::{Facts, HttpFacts, RequestFacts};
pub use token::Token;

/// Admitted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By this ALLOW policy, or because there is none.
    Allowed(Option<NamespacedName>),
    /// Not.
    Denied(Denial),
}

/// Who refused a connection or a request. Displayed in the contract's words.
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

    /// The detail of the answer's code in access logs, in the words that readers of such logs know.
    pub fn code_detail(&self) -> String {
        match (&self.policy, self.rule) {
            (Some(policy), Some(rule)) => format!(
                "rbac_access_denied_matched_policy[ns[{}]-policy[{}]-rule[{rule}]]",
                policy.namespace, policy.name
            ),
            _ => "rbac_access_denied_matched_policy[none]".to_owned(),
        }
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

/// What the engine needs to know of a policy, whichever form it came in.
trait Governs {
    /// What it does; `None` when it does not count for the verdict.
    fn action(&self) -> Option<Action>;
    /// Its rules.
    fn rules(&self) -> &[Rule];
    /// Its name.
    fn key(&self) -> NamespacedName;
    /// The user's object behind it.
    fn origin(&self) -> Option<Origin>;
}

impl Governs for &Policy {
    fn action(&self) -> Option<Action> {
        (!self.dry_run).then_some(self.action)
    }

    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn key(&self) -> NamespacedName {
        self.key.clone()
    }

    fn origin(&self) -> Option<Origin> {
        self.origin.clone()
    }
}

/// Decides. `policies` are all that apply to the destination, report-only ones included; these do
/// not count. A matching DENY refuses; then, if there are ALLOW policies, one of them must match.
pub fn decide<'a>(facts: &Facts<'_>, policies: impl IntoIterator<Item = &'a Policy>) -> Verdict {
    verdict(&Subject::new(facts), policies)
}

fn verdict(subject: &Subject<'_>, policies: impl IntoIterator<Item = impl Governs>) -> Verdict {
    let mut has_allow = false;
    let mut allowed_by = None;
    for policy in policies {
        match policy.action() {
            None => {}
            Some(Action::Deny) => {
                let rule = subject.matching_rule(policy.rules(), Unreadable::Holds);
                if let Some(rule) = rule {
                    return Verdict::Denied(Denial {
                        policy: Some(policy.key()),
                        rule: Some(rule),
                        origin: policy.origin(),
                    });
                }
            }
            Some(Action::Allow) => {
                has_allow = true;
                let matches = || {
                    let rule = subject.matching_rule(policy.rules(), Unreadable::Fails);
                    rule.is_some()
                };
                if allowed_by.is_none() && matches() {
                    allowed_by = Some(policy.key());
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
    let subject = Subject::new(facts);
    let reporting = policies.into_iter().filter(|policy| policy.dry_run);
    reporting.map(move |policy| DryRun {
        policy,
        rule: subject.matching_rule(&policy.rules, Unreadable::of(policy.action)),
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
