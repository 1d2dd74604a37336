//! What the xDS server counts, as plain numbers for whoever publishes metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers since the start, and streams open now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Streams open now.
    pub open: u64,
    /// Streams accepted.
    pub streams: u64,
    /// Streams refused, by the word of the reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// By type URL.
    pub types: BTreeMap<&'static str, TypeCounters>,
}

/// Numbers of one type, over all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeCounters {
    /// Responses sent.
    pub pushes: u64,
    /// Resources sent in them.
    pub resources: u64,
    /// Names sent as gone.
    pub removed: u64,
    /// Bytes of content sent.
    pub bytes: u64,
    /// Responses that were taken.
    pub acks: u64,
    /// Responses that were not taken in full.
    pub nacks: u64,
    /// Answers to responses that were no longer the latest.
    pub stale: u64,
}

/// Counters that every stream writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Counters>>);

impl Shared {
    pub(super) fn read(&self) -> Counters {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn write(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn write_type(
        &self,
        type_url: &'static str,
        change: impl FnOnce(&mut TypeCounters),
    ) {
        self.write(|c| change(c.types.entry(type_url).or_default()));
    }
}
