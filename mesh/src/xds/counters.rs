//! What the client counts, as plain numbers for whoever publishes metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Numbers since the client was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By type URL.
    pub types: BTreeMap<&'static str, TypeCounters>,
    /// Responses of types nobody subscribed to.
    pub unknown_type_messages: u64,
    /// Streams that were opened and answered.
    pub streams: u64,
    /// How connections and streams ended.
    pub terminations: Terminations,
    /// When the last response came.
    pub last_message: Option<Instant>,
    /// From the receipt of a response until it was applied, all responses together.
    pub apply_time: Duration,
    /// Whether a stream is open and was answered.
    pub is_connected: bool,
}

/// Numbers of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeCounters {
    /// Responses.
    pub messages: u64,
    /// Size of those messages before compression, in bytes.
    pub bytes: u64,
    /// Resources received, good or not.
    pub resources: u64,
    /// Names said to be gone.
    pub removed: u64,
    /// Resources refused.
    pub rejects: u64,
    /// Resources held now.
    pub held: u64,
}

/// How connections ended; the words are those of `istio_xds_connection_terminations_total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminations {
    /// Could not connect (`ConnectionError`).
    pub connection_error: u64,
    /// The stream failed (`Error`).
    pub error: u64,
    /// The stream broke in an ordinary way (`Reconnect`).
    pub reconnect: u64,
    /// The controller closed the stream cleanly (`Complete`).
    pub complete: u64,
}

impl Terminations {
    /// Every reason with its number.
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("ConnectionError", self.connection_error),
            ("Error", self.error),
            ("Reconnect", self.reconnect),
            ("Complete", self.complete),
        ]
    }

    /// All of them: how often the client had to connect again.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, n)| n).sum()
    }
}

/// Counters that one task writes and others read.
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
}
