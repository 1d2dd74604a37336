//! Where something runs: region, zone, subzone.

use std::sync::Arc;

/// A place in the topology; an empty part means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// Region, from node label `topology.kubernetes.io/region`.
    pub region: Arc<str>,
    /// Zone, from node label `topology.kubernetes.io/zone`.
    pub zone: Arc<str>,
    /// Subzone, from node label `topology.istio.io/subzone`.
    pub subzone: Arc<str>,
}
