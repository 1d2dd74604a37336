//! Named things that must be done before a program says that it is ready.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The open ends: a program is ready when there is none.
#[derive(Clone, Debug, Default)]
pub struct Gates {
    open: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// One thing to be done; [`Gate::done`] crosses it out, dropping it unfinished leaves it open.
#[derive(Debug)]
pub struct Gate {
    name: &'static str,
    gates: Gates,
}

impl Gates {
    /// Adds a thing that must be done first.
    pub fn add(&self, name: &'static str) -> Gate {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
        Gate {
            name,
            gates: self.clone(),
        }
    }

    /// What is still to be done, sorted; empty means ready.
    pub fn pending(&self) -> Vec<&'static str> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .copied()
            .collect()
    }
}

impl Gate {
    /// Crosses it out.
    pub fn done(self) {
        let mut open = self
            .gates
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_gate_is_done() {
        let gates = Gates::default();
        let (xds, pods) = (gates.add("xds"), gates.add("pods"));
        assert_eq!(gates.pending(), ["pods", "xds"]);
        xds.done();
        assert_eq!(gates.pending(), ["pods"]);
        pods.done();
        assert!(gates.pending().is_empty());
    }
}
