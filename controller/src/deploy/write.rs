//! Brings what is written in line with what is planned: writes what differs, takes back what nobody wants.

use std::collections::HashMap;
use std::sync::Arc;

use objects::kinds::Key;
use objects::sink::{Error, Sink};
use serde_json::Value;

use super::MANAGER;

/// Writes, and knows what it wrote.
pub(super) struct Pen {
    sink: Arc<dyn Sink>,
    written: HashMap<Key, Value>,
}

impl Pen {
    pub(super) fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            written: HashMap::new(),
        }
    }

    /// Writes `documents` where they are not written yet, and removes `gone`.
    ///
    /// # Errors
    /// The first object that cannot be written; what comes behind it is not tried.
    pub(super) async fn settle(
        &mut self,
        documents: &[(Key, Value)],
        gone: &[Key],
    ) -> Result<(), (Key, Error)> {
        for (key, document) in documents {
            if self.written.get(key) == Some(document) {
                continue;
            }
            let outcome = self.sink.apply(MANAGER, document.clone()).await;
            outcome.map_err(|error| (key.clone(), error))?;
            self.written.insert(key.clone(), document.clone());
        }
        for key in gone {
            let outcome = self.sink.remove(MANAGER, key).await;
            outcome.map_err(|error| (key.clone(), error))?;
            self.written.remove(key);
        }
        Ok(())
    }

    /// Nothing is known of what is written any more.
    pub(super) fn forget_all(&mut self) {
        self.written.clear();
    }

    /// Somebody else changed or took away an object: it has to be written again, if it is still wanted.
    pub(super) fn forget(&mut self, key: &Key) {
        self.written.remove(key);
    }
}
