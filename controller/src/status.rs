//! Recipe: tell users what became of their objects: a wish per object -> is it news? -> write.
//!
//! In: [`Wish`]es from the index, the latest of each object counts. Out: patches through the sink, under one
//! manager's name. Never: a write that says what is there already, or that waits on the index.

mod write;
mod fields;

use objects::kinds::Key;
use objects::object::Object;
use serde_json::Value;

use crate::translate::status::Status;
pub use write::{Statuses, Writer};

/// The name under which the controller writes.
pub const MANAGER: &str = "weft-controller";

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
}

impl Wish {
    /// About `object` as it is now.
    pub fn new(object: &Object, status: Status) -> Self {
        let metadata = object.metadata();
        // Reading the document again is only worth it where there is something to compare.
        let present = if status.conditions.is_empty() {
            Vec::new()
        } else {
            let conditions = object.raw().pointer("/status/conditions").cloned();
            match conditions {
                Some(Value::Array(conditions)) => conditions,
                _ => Vec::new(),
            }
        };
        Self {
            key: object.key().clone(),
            uid: metadata.uid.clone(),
            generation: metadata.generation,
            status,
            present,
        }
    }
}
