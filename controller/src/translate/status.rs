//! Pure. What an object's status says of what became of it.

use serde_json::{Map, Value};

use super::Finding;
use super::rule::{Rule, Severity};

/// A condition, without what only a writer knows (time, generation).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about, e.g. `istio.io/WaypointBound`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// One word of why.
    pub reason: &'static str,
    /// A sentence of why.
    pub message: String,
}

/// Findings that a condition's message names; all of them are problems of their own.
const NAMED: usize = 4;

impl Condition {
    /// Whether node proxies enforce a policy as it is written; `effect` says what is in force.
    pub fn ztunnel_accepted(findings: &[Finding], effect: &str) -> Self {
        let is_minor = |it: &Finding| it.rule.severity() < Severity::Error;
        let holds = findings.iter().all(is_minor);
        Self {
            kind: "ZtunnelAccepted",
            holds,
            reason: if holds {
                "Accepted"
            } else {
                "UnsupportedValue"
            },
            message: Self::message(effect, findings),
        }
    }

    /// Whether an object of Istio's networking kinds is in force as it is written; `effect` says what is.
    pub fn accepted(findings: &[Finding], effect: &str) -> Self {
        let is_minor = |it: &Finding| it.rule.severity() < Severity::Error;
        let is_invalid = findings.iter().any(|it| it.rule == Rule::InvalidValue);
        let holds = findings.iter().all(is_minor);
        Self {
            kind: "Accepted",
            holds,
            reason: match (holds, is_invalid) {
                (true, _) => "Accepted",
                (false, true) => "Invalid",
                (false, false) => "UnsupportedValue",
            },
            message: Self::message(effect, findings),
        }
    }

    /// A sentence, and the findings behind it.
    pub fn message(effect: &str, findings: &[Finding]) -> String {
        let named = findings.iter().take(NAMED);
        let named = named.map(|it| format!("; {}: {}", it.path, it.reason));
        let more = findings.len().saturating_sub(NAMED);
        let more = (more > 0).then(|| format!("; and {more} more"));
        std::iter::once(effect.to_owned())
            .chain(named)
            .chain(more)
            .collect()
    }
}

/// Everything that Weft says in one object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// At most one of a kind.
    pub conditions: Vec<Condition>,
    /// Further fields of `status`.
    pub fields: Map<String, Value>,
    /// What it says about others, in a list that other controllers write into too.
    pub listed: Option<Listed>,
}

/// The name under which Weft speaks of routes. Source: docs/compat.md#routes.
const GATEWAY_CONTROLLER: &str = "istio.io/gateway-controller";
/// The name under which Weft speaks of policies of the mesh. Source: docs/compat.md#backend-tls.
const MESH_CONTROLLER: &str = "istio.io/mesh-controller";

/// Entries of a list in a status, each about another object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The list: `parents`, `ancestors` or `listeners`.
    pub list: &'static str,
    /// The field that says what an entry is about: `parentRef`, `ancestorRef` or `name`.
    pub key: &'static str,
    /// The name under which Weft speaks there, where others may speak too.
    pub controller: Option<&'static str>,
    /// Our entries.
    pub entries: Vec<Spoken>,
}

/// What is said about one other object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The reference to it, as it is written.
    pub about: Value,
    /// Further fields.
    pub fields: Map<String, Value>,
    /// At most one of a kind.
    pub conditions: Vec<Condition>,
}

impl Spoken {
    /// Nothing but conditions.
    pub fn new(about: Value, conditions: Vec<Condition>) -> Self {
        Self {
            about,
            fields: Map::new(),
            conditions,
        }
    }
}

impl Listed {
    /// About the parents of a route.
    pub fn parents(entries: Vec<Spoken>) -> Self {
        Self {
            list: "parents",
            key: "parentRef",
            controller: Some(GATEWAY_CONTROLLER),
            entries,
        }
    }

    /// About the listeners of a Gateway.
    pub fn listeners(entries: Vec<Spoken>) -> Self {
        Self {
            list: "listeners",
            key: "name",
            controller: None,
            entries,
        }
    }

    /// About the ancestors of a policy.
    pub fn ancestors(entries: Vec<Spoken>) -> Self {
        Self {
            list: "ancestors",
            key: "ancestorRef",
            controller: Some(MESH_CONTROLLER),
            entries,
        }
    }
}

impl Status {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.fields.is_empty() && self.listed.is_none()
    }
}
