//! One endpoint of a destination: its name, what is known of it, and its own counts, which outlive
//! updates. Pure.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use mesh::model::Locality;
use mesh::model::destination::Subset;
use mesh::names::WorkloadUid;
use twox_hash::XxHash64;

/// Names an endpoint for as long as it lives: a workload and a port of it. Comparing two is mostly
/// comparing two numbers.
#[derive(Clone, Debug, Eq)]
pub struct EndpointId {
    key: u64,
    port: u16,
    workload: WorkloadUid,
}

impl EndpointId {
    /// The endpoint at `port` of `workload`.
    pub fn new(workload: WorkloadUid, port: u16) -> Self {
        let key = XxHash64::oneshot(u64::from(port), workload.0.as_bytes());
        Self {
            key,
            port,
            workload,
        }
    }

    /// The workload.
    pub fn workload(&self) -> &WorkloadUid {
        &self.workload
    }

    /// Port on it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A number made of the name: the same in every process and after every restart, so that all
    /// waypoints of a service send one hash to one endpoint.
    pub fn key(&self) -> u64 {
        self.key
    }
}

impl PartialEq for EndpointId {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.port == other.port && self.workload == other.workload
    }
}

impl Hash for EndpointId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key);
    }
}

/// Labels of an endpoint or of the waypoint itself, in any order.
pub type Labels = Arc<[(Arc<str>, Arc<str>)]>;

/// What is known of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Which.
    pub id: EndpointId,
    /// Its share, relative to the others; 0 takes no requests.
    pub weight: u32,
    /// Where it runs.
    pub locality: Locality,
    /// Its labels; read for failover by labels.
    pub labels: Labels,
    /// Whether it takes requests, as the controller says.
    pub is_healthy: bool,
}

/// Whether an endpoint with these labels is of this part of a service.
pub fn is_in_subset(subset: &Subset, labels: &[(Arc<str>, Arc<str>)]) -> bool {
    subset
        .labels
        .iter()
        .all(|wanted| labels.iter().any(|label| label == wanted))
}

/// Counts of one endpoint. They belong to the endpoint, not to a version of the list it stands in.
/// Times are milliseconds since the destination's own beginning. Shared, it fills one line of the
/// processor's cache: what a choice costs among very many endpoints is how many lines it touches.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: Box<EndpointId>,
    /// Requests under way.
    pub(super) active: AtomicU32,
    /// When it began to take requests; warming up counts from here.
    pub(super) since: AtomicU64,
    /// Answers of 5xx in a row.
    pub(super) in_a_row_5xx: AtomicU32,
    /// Answers of 502, 503, 504 in a row.
    pub(super) in_a_row_gateway: AtomicU32,
    /// Local failures in a row.
    pub(super) in_a_row_local: AtomicU32,
    /// When it was left out; [`NEVER`] when it is not.
    pub(super) ejected_at: AtomicU64,
    /// How often it was left out of late: the next time lasts so much longer.
    pub(super) ejections: AtomicU32,
}

/// No time.
pub(super) const NEVER: u64 = u64::MAX;

impl Endpoint {
    pub(super) fn new(id: EndpointId, now: u64) -> Self {
        Self {
            id: Box::new(id),
            active: AtomicU32::new(0),
            since: AtomicU64::new(now),
            in_a_row_5xx: AtomicU32::new(0),
            in_a_row_gateway: AtomicU32::new(0),
            in_a_row_local: AtomicU32::new(0),
            ejected_at: AtomicU64::new(NEVER),
            ejections: AtomicU32::new(0),
        }
    }

    pub(super) fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected_at.load(Ordering::Relaxed) != NEVER
    }
}

/// An endpoint as one version of the list has it. Small, because choices read it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    /// What else is known of it.
    pub(super) about: Arc<About>,
    pub(super) weight: u32,
    pub(super) is_healthy: bool,
}

/// What is read only when a list is made ready.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) locality: Locality,
    pub(super) labels: Labels,
}

impl Member {
    /// What `spec` says, with the counts of `endpoint`.
    pub(super) fn new(spec: EndpointSpec, endpoint: Arc<Endpoint>) -> Self {
        let (locality, labels) = (spec.locality, spec.labels);
        Self {
            endpoint,
            about: Arc::new(About { locality, labels }),
            weight: spec.weight,
            is_healthy: spec.is_healthy,
        }
    }

    /// Whether it should get requests now.
    pub(super) fn is_available(&self) -> bool {
        self.is_healthy && !self.endpoint.is_ejected()
    }

    /// Whether a list says the same of it.
    pub(super) fn is_as(&self, spec: &EndpointSpec) -> bool {
        let EndpointSpec {
            id,
            weight,
            locality,
            labels,
            is_healthy,
        } = spec;
        *self.endpoint.id == *id
            && self.weight == *weight
            && self.is_healthy == *is_healthy
            && self.about.locality == *locality
            && self.about.labels == *labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(uid: &str, port: u16) -> EndpointId {
        EndpointId::new(WorkloadUid(uid.into()), port)
    }

    #[test]
    fn what_a_choice_touches_of_an_endpoint_is_one_cache_line() {
        let counts_of_arc = 2 * size_of::<usize>();
        assert!(counts_of_arc + size_of::<Endpoint>() <= 64);
    }

    #[test]
    fn an_id_is_workload_and_port() {
        assert_eq!(id("a", 80), id("a", 80));
        assert_ne!(id("a", 80), id("a", 81));
        assert_ne!(id("a", 80), id("b", 80));
        assert_eq!(id("a", 80).key(), id("a", 80).key());
    }

    #[test]
    fn a_subset_wants_all_its_labels() {
        let label = |key: &str, value: &str| (Arc::from(key), Arc::from(value));
        let subset = |labels: Vec<_>| Subset {
            name: "v2".into(),
            labels,
        };
        let pod = [label("app", "shop"), label("version", "v2")];
        for (labels, expected) in [
            (vec![], true),
            (vec![label("version", "v2")], true),
            (vec![label("app", "shop"), label("version", "v2")], true),
            (vec![label("version", "v1")], false),
            (vec![label("version", "v2"), label("tier", "x")], false),
        ] {
            assert_eq!(
                is_in_subset(&subset(labels.clone()), &pod),
                expected,
                "{labels:?}"
            );
        }
    }
}
