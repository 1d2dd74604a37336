//! Recipe: tell users what became of their objects: a wish per object -> is it news? -> write.
//!
//! In: [`Wish`]es from the index, the latest of each object counts. Out: patches through the sink, under one
//! manager's name. Never: a write that says what is there already, or that waits on the index.

mod write;
mod fields;

use objects::kinds::{Key, Kind};
use objects::object::Object;
use objects::sink::api_server::Ours;
use serde_json::Value;

use crate::translate::status::Status;
pub use write::{Statuses, Writer};

/// The name under which the controller writes.
pub const MANAGER: &str = "weft-controller";

/// What it writes, so that it finds again what it said before it was started anew. Conditions inside of entries belong to
/// their entry.
pub const OURS: Ours = Ours {
    manager: MANAGER,
    conditions: &[
        "Accepted",
        "Programmed",
        "ZtunnelAccepted",
        "WaypointAccepted",
        "istio.io/VisibilityApplied",
        "istio.io/WaypointBound",
        "istio.io/WaypointMissing",
    ],
    controllers: &["istio.io/gateway-controller", "istio.io/mesh-controller"],
    fields: &[
        (Kind::ServiceEntry, "addresses"),
        (Kind::Gateway, "addresses"),
    ],
};

/// What an object's status should say, beside what it says now.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which object.
    pub key: Key,
    /// That very object, not a later one of its name.
    pub uid: String,
    /// The generation that was translated; 0 when the source does not count.
    pub generation: i64,
    /// What it should say; empty takes back what was said before.
    pub status: Status,
    /// Its `status.conditions` now: whether a condition is news, and since when it holds.
    pub present: Vec<Value>,
    /// The entries of the list that it speaks in now, ours and those of others.
    pub present_entries: Vec<Value>,
}

impl Wish {
    /// About `object` as it is now.
    pub fn new(object: &Object, status: Status) -> Self {
        let metadata = object.metadata();
        // Reading the document again is only worth it where there is something to compare.
        let is_worth_it = !status.conditions.is_empty() || status.listed.is_some();
        let now = match is_worth_it {
            true => object.raw(),
            false => Value::Null,
        };
        let list = |name: &str| match now.pointer(&format!("/status/{name}")) {
            Some(Value::Array(list)) => list.clone(),
            _ => Vec::new(),
        };
        let entries = status.listed.as_ref().map(|it| list(it.list));
        Self {
            key: object.key().clone(),
            uid: metadata.uid.clone(),
            generation: metadata.generation,
            present: list("conditions"),
            present_entries: entries.unwrap_or_default(),
            status,
        }
    }
}
