//! Pure. What is noticed while a policy is read.

use objects::raw::Path;

use crate::translate::Finding;
use crate::translate::rule::Rule;

/// What was noticed so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    findings: Vec<Finding>,
}

impl Notes {
    /// Something that the owner should know.
    pub(super) fn add(&mut self, rule: Rule, path: Path, reason: impl Into<String>) {
        let reason = reason.into();
        self.findings.push(Finding { rule, path, reason });
    }

    /// A value that cannot be.
    pub(super) fn invalid(&mut self, path: Path, reason: impl Into<String>) {
        self.add(Rule::InvalidValue, path, reason);
    }

    /// Whether any value cannot be.
    pub(super) fn is_rejected(&self) -> bool {
        self.findings.iter().any(|it| it.rule == Rule::InvalidValue)
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}
