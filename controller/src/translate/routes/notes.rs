//! Pure. What is noticed while a route is read: for its owner, and for its status.

use std::collections::BTreeSet;

use objects::raw::Path;

use crate::translate::Finding;
use crate::translate::rule::Rule;

/// What was noticed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// For the owner.
    pub findings: Vec<Finding>,
    /// Rules, by index, that are not in force as they are written, by themselves or in some of their matches.
    pub broken: BTreeSet<usize>,
    /// Whether filters that do not go together are why.
    pub are_incompatible: bool,
    /// References that lead nowhere: reason and sentence.
    pub unresolved: Vec<(&'static str, String)>,
}

impl Notes {
    /// Something the owner should know; it changes nothing else.
    pub fn say(&mut self, rule: Rule, path: Path, reason: impl Into<String>) {
        let reason = reason.into();
        self.findings.push(Finding { rule, path, reason });
    }

    /// A rule cannot be honoured: its requests are answered with 500.
    pub fn refuse(&mut self, rule: usize, path: Path, reason: &str) {
        self.broken.insert(rule);
        let reason = format!("{reason}: the rule's requests are answered with 500");
        self.say(Rule::RouteRuleRefused, path, reason);
    }

    /// A match cannot be read, so nothing matches it.
    pub fn leave_out(&mut self, rule: usize, path: Path, reason: &str) {
        self.broken.insert(rule);
        let reason = format!("{reason}: nothing matches it");
        self.say(Rule::RouteMatchLeftOut, path, reason);
    }

    /// A reference leads nowhere; `effect` says what becomes of its traffic.
    pub fn unresolved(&mut self, word: &'static str, path: Path, reason: &str, effect: &str) {
        self.unresolved.push((word, reason.to_owned()));
        self.say(Rule::BackendMissing, path, format!("{reason}: {effect}"));
    }
}
