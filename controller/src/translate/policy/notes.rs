//! Pure. What is noticed while a policy is read.

use objects::object::Unread;
use objects::raw::Path;

use crate::translate::Finding;
use crate::translate::rule::Rule;

/// What was noticed so far.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    findings: Vec<Finding>,
    /// Fields that nobody reads; each is a finding anyway, wherever it stands.
    unread: &'a [Unread],
}

impl<'a> Notes<'a> {
    pub(super) fn new(unread: &'a [Unread]) -> Self {
        let findings = Vec::new();
        Self { findings, unread }
    }

    /// The first field at or below `place` that nobody reads.
    pub(super) fn unread_below(&self, place: &Path) -> Option<&'a Path> {
        let steps = place.steps();
        let mut paths = self.unread.iter().map(|it| &it.path);
        paths.find(|it| it.steps().starts_with(steps))
    }

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
