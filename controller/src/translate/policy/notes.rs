//! Pure. What is noticed while a policy is read.

use mesh::identity::{Identity, TrustDomain};
use mesh::model::StringMatch;
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
    trust_domain: &'a TrustDomain,
    /// Who enforces it.
    enforcer: Enforcer,
}

/// Who enforces a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enforcer {
    /// Node proxies: they know connections.
    Node,
    /// Waypoints: they know requests too.
    Waypoint,
    /// Waypoints, before tokens are looked at.
    WaypointBeforeTokens,
}

impl<'a> Notes<'a> {
    pub(super) fn new(unread: &'a [Unread], trust_domain: &'a TrustDomain) -> Self {
        Self {
            findings: Vec::new(),
            unread,
            trust_domain,
            enforcer: Enforcer::Node,
        }
    }

    /// Who enforces what is read.
    pub(super) fn enforcer(&self) -> Enforcer {
        self.enforcer
    }

    /// The same policy, enforced by waypoints.
    pub(super) fn at_waypoints(&mut self, enforcer: Enforcer) {
        self.enforcer = enforcer;
    }

    /// Whether requests are known where it is enforced.
    pub(super) fn knows_requests(&self) -> bool {
        self.enforcer != Enforcer::Node
    }

    /// Says so when nobody who can connect has an identity like that.
    pub(super) fn check_identity(&mut self, pattern: &StringMatch, path: Path) {
        let all = format!("{}/ns/", self.trust_domain);
        let is_possible = match pattern {
            StringMatch::Presence | StringMatch::Suffix(_) => true,
            StringMatch::Prefix(text) => text.starts_with(&all) || all.starts_with(&**text),
            StringMatch::Exact(text) => Identity::parse(&format!("spiffe://{text}"))
                .is_ok_and(|it| it.trust_domain == *self.trust_domain),
        };
        if !is_possible {
            let reason = format!(
                "nobody in the mesh has such an identity: all are {all}<namespace>/sa/<service account>"
            );
            self.add(Rule::ForeignIdentity, path, reason);
        }
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
