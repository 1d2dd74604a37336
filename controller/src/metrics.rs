//! Every metric of this program, in one list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use objects::kinds::Kind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

pub mod reference;

/// Label of object events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// Label of certificate requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

/// The program's counters; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    events: Family<OfKind, Counter>,
    recomputed: Family<OfKind, Counter>,
    batches: Counter,
    certificates: Family<OfResult, Counter>,
    /// Labels in use: a family does not list its own.
    seen_results: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Metrics {
    /// Makes them known to the metrics page.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "weft_controller_object_events",
            "Objects that changed, by kind",
            self.events.clone(),
        );
        registry.register(
            "weft_controller_recomputed",
            "Outputs computed anew, by kind of the object they stand for",
            self.recomputed.clone(),
        );
        registry.register(
            "weft_controller_batches",
            "Batches of changes taken in",
            self.batches.clone(),
        );
        registry.register(
            "weft_controller_certificate_requests",
            "Certificate requests, by how they ended",
            self.certificates.clone(),
        );
    }

    /// An object changed.
    pub fn count_event(&self, kind: Kind) {
        self.events
            .get_or_create(&OfKind {
                kind: kind.facts().word,
            })
            .inc();
    }

    /// An output was computed anew; `kind` is the word of the object's kind that it stands for, or its own.
    pub fn count_recomputed(&self, kind: &'static str) {
        self.recomputed.get_or_create(&OfKind { kind }).inc();
    }

    /// A batch was taken in.
    pub fn count_batch(&self) {
        self.batches.inc();
    }

    /// A certificate request ended; `result` is `signed` or the word of the reason.
    pub fn count_certificate(&self, result: &'static str) {
        self.certificates.get_or_create(&OfResult { result }).inc();
        self.seen_results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(result);
    }

    /// How many outputs of this kind were computed so far.
    pub fn recomputed(&self, kind: Kind) -> u64 {
        self.recomputed
            .get_or_create(&OfKind {
                kind: kind.facts().word,
            })
            .get()
    }

    /// How many outputs of this word were computed so far.
    pub fn recomputed_as(&self, kind: &'static str) -> u64 {
        self.recomputed.get_or_create(&OfKind { kind }).get()
    }

    /// How many certificate requests ended this way so far.
    pub fn certificates(&self, result: &'static str) -> u64 {
        self.certificates.get_or_create(&OfResult { result }).get()
    }

    /// Certificate requests by how they ended, for the debug page.
    pub fn certificate_counters(&self) -> BTreeMap<&'static str, u64> {
        let seen = self
            .seen_results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        seen.into_iter()
            .map(|result| (result, self.certificates(result)))
            .collect()
    }

    /// The counters of the index by name, for the debug page.
    pub fn index_counters(&self) -> BTreeMap<String, u64> {
        let mut counters = BTreeMap::from([("batches".to_owned(), self.batches.get())]);
        for kind in [
            Kind::Namespace,
            Kind::Node,
            Kind::Pod,
            Kind::Service,
            Kind::EndpointSlice,
            Kind::AuthorizationPolicy,
            Kind::PeerAuthentication,
        ] {
            let label = OfKind {
                kind: kind.facts().word,
            };
            counters.insert(
                format!("events/{}", label.kind),
                self.events.get_or_create(&label).get(),
            );
            counters.insert(format!("recomputed/{}", label.kind), self.recomputed(kind));
        }
        counters
    }
}
