//! Pure. What is noticed while an object is read.

use objects::raw::Path;

use super::Finding;
use super::rule::Rule;

/// What was noticed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks(Vec<Finding>);

impl Remarks {
    /// Something that the owner should know.
    pub fn add(&mut self, rule: Rule, path: Path, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.push(Finding { rule, path, reason });
    }

    /// A value that cannot be: the whole object is not taken over.
    pub fn invalid(&mut self, path: Path, reason: impl Into<String>) {
        self.add(Rule::InvalidValue, path, reason);
    }

    /// Whether any value cannot be.
    pub fn is_rejected(&self) -> bool {
        self.0.iter().any(|it| it.rule == Rule::InvalidValue)
    }

    /// All of it, in the order in which it was noticed.
    pub fn into_findings(self) -> Vec<Finding> {
        self.0
    }
}
