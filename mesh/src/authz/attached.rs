//! Pure. Policies attached to what a waypoint serves, in the order CUSTOM, DENY, ALLOW.
//! Source: docs/compat.md#request-authorization.

use std::sync::Arc;

use super::matcher::{Subject, Unreadable};
use super::{Denial, Facts, Governs, Verdict, verdict};
use crate::model::attached::{RequestAction, RequestAuthorization};
use crate::model::{Action, Origin, Rule};
use crate::names::NamespacedName;

/// An authorization policy and the user's object that it is.
#[derive(Clone, Copy, Debug)]
pub struct Attached<'a> {
    /// The object.
    pub origin: &'a Origin,
    /// What it says.
    pub policy: &'a RequestAuthorization,
}

impl Attached<'_> {
    fn denial(&self, rule: usize) -> Denial {
        Denial {
            policy: Some(self.key()),
            rule: Some(rule),
            origin: Some(self.origin.clone()),
        }
    }

    fn matching_rule(&self, subject: &Subject<'_>) -> Option<usize> {
        let unreadable = match self.policy.action {
            RequestAction::Allow => Unreadable::Fails,
            RequestAction::Deny | RequestAction::Audit | RequestAction::Custom(_) => {
                Unreadable::Holds
            }
        };
        subject.matching_rule(&self.policy.rules, unreadable)
    }
}

impl Governs for Attached<'_> {
    fn action(&self) -> Option<Action> {
        match self.policy.action {
            _ if self.policy.dry_run => None,
            RequestAction::Allow => Some(Action::Allow),
            RequestAction::Deny => Some(Action::Deny),
            RequestAction::Audit | RequestAction::Custom(_) => None,
        }
    }

    fn rules(&self) -> &[Rule] {
        &self.policy.rules
    }

    fn key(&self) -> NamespacedName {
        NamespacedName::new(self.origin.namespace.clone(), self.origin.name.clone())
    }

    fn origin(&self) -> Option<Origin> {
        Some(self.origin.clone())
    }
}

/// Whether somebody else must be asked first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// Nobody.
    Nobody,
    /// This external authorization server; the denial names policy and rule, should it refuse.
    Ask {
        /// Name of the server.
        provider: &'a Arc<str>,
        /// Who asks.
        by: Denial,
    },
    /// The policies that apply name several servers: a request that any of them is about is refused.
    Contradiction(Denial),
}

/// The first step: CUSTOM policies, before tokens are looked at. Report-only ones do not count.
pub fn question<'a>(
    facts: &Facts<'_>,
    policies: impl IntoIterator<Item = Attached<'a>>,
) -> Question<'a> {
    let subject = Subject::new(facts);
    let mut first: Option<&Arc<str>> = None;
    let mut several = false;
    let mut matched: Option<(&Arc<str>, Denial)> = None;
    for attached in policies.into_iter().filter(|it| !it.policy.dry_run) {
        let RequestAction::Custom(provider) = &attached.policy.action else {
            continue;
        };
        several |= first.is_some_and(|it| it != provider);
        first = first.or(Some(provider));
        if matched.is_none()
            && let Some(rule) = attached.matching_rule(&subject)
        {
            matched = Some((provider, attached.denial(rule)));
        }
    }
    match matched {
        None => Question::Nobody,
        Some((_, by)) if several => Question::Contradiction(by),
        Some((provider, by)) => Question::Ask { provider, by },
    }
}

/// The second step: DENY, then ALLOW. CUSTOM, AUDIT and report-only policies do not count.
pub fn decide_request<'a>(
    facts: &Facts<'_>,
    policies: impl IntoIterator<Item = Attached<'a>>,
) -> Verdict {
    verdict(&Subject::new(facts), policies)
}

/// The AUDIT policies that match, each with its first rule that does.
pub fn audits<'a>(
    facts: &Facts<'_>,
    policies: impl IntoIterator<Item = Attached<'a>>,
) -> impl Iterator<Item = (Attached<'a>, usize)> {
    let subject = Subject::new(facts);
    let counted =
        |it: &Attached<'_>| it.policy.action == RequestAction::Audit && !it.policy.dry_run;
    let auditing = policies.into_iter().filter(counted);
    auditing.filter_map(move |it| Some((it, it.matching_rule(&subject)?)))
}

/// What the report-only policies would have done, each with its first rule that matches.
pub fn dry_runs_of_requests<'a>(
    facts: &Facts<'_>,
    policies: impl IntoIterator<Item = Attached<'a>>,
) -> impl Iterator<Item = (Attached<'a>, Option<usize>)> {
    let subject = Subject::new(facts);
    let reporting = policies.into_iter().filter(|it| it.policy.dry_run);
    reporting.map(move |it| (it, it.matching_rule(&subject)))
}

#[cfg(test)]
mod tests;
