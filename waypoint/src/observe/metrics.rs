//! Every metric of requests and connections that the waypoint exports. Names: docs/compat.md#request-metrics.
//!
//! Every worker counts in tables of its own, through a [`Recorder`]; the page adds them up.

pub mod requests;
pub mod connections;
pub mod series;
pub mod events;
pub mod histogram;
pub mod labels;
pub mod rules;
pub mod reference;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use mesh::state::Reader;
use mesh::telemetry::metrics::Registry;
use mesh::telemetry::process;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::record::Record;
pub use connections::Connection;
pub use events::Events;
pub use labels::Labels;
pub use rules::MetricRules;

/// Who reports: the label `reporter`.
const REPORTER: &str = "waypoint";

/// Handles to every metric; cheap to clone, shared by all workers.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: requests::Requests,
    connections: connections::Connections,
    /// Weft's own.
    pub events: Events,
}

impl Metrics {
    /// Makes all metrics and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self {
            requests: requests::Requests::default(),
            connections: connections::Connections::default(),
            events: Events::register(registry),
        };
        registry.register_collector(Box::new(Page(all.clone())));
        process::register(registry, "proxy");
        all
    }

    /// From now on this picture of the mesh says whose series may go.
    pub fn follow(&self, state: &Reader) {
        self.requests.follow(state.clone());
        self.connections.follow(state.clone());
    }

    /// A recorder for one more worker.
    pub fn recorder(&self) -> Recorder {
        Recorder {
            requests: RefCell::new(self.requests.counter()),
            connections: self.connections.table(),
            events: self.events.clone(),
        }
    }

    /// How many different series of requests and of connections there are.
    pub fn series(&self) -> (usize, usize) {
        (self.requests.rows(), self.connections.rows())
    }
}

/// One worker's part of the metrics.
#[derive(Debug)]
pub struct Recorder {
    requests: RefCell<requests::Counter>,
    connections: Arc<connections::Table>,
    /// Weft's own.
    pub events: Events,
}

impl Recorder {
    /// Counts a finished request. Costs a look-up by a few pointers once its labels are known.
    pub fn request(&self, record: &Record, rules: &Option<Arc<MetricRules>>) {
        self.requests.borrow_mut().count(record, rules);
        self.events.ended(record.answered.reason);
    }

    /// A connection of opaque bytes has reached its destination.
    pub fn open(&self, labels: Labels) -> Connection {
        self.connections.open(labels)
    }
}

/// Looking at the series is when the dead are forgotten.
#[derive(Debug)]
struct Page(Metrics);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.requests.encode(&mut encoder)?;
        self.0.connections.encode(&mut encoder)
    }
}

#[cfg(test)]
mod tests;
