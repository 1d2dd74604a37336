//! Pure. What an object's status says of what became of it.

use serde_json::{Map, Value};

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

/// Everything that Weft says in one object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// At most one of a kind.
    pub conditions: Vec<Condition>,
    /// Further fields of `status`.
    pub fields: Map<String, Value>,
}

impl Status {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.fields.is_empty()
    }
}
