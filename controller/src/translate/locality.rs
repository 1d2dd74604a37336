//! Pure. Where a node is, from its labels.

use mesh::model::Locality;
use objects::kubernetes::Node;

/// Region, zone and subzone of `node`; all unknown when there is no such node.
/// Source: docs/compat.md#workload-record.
pub fn of(node: Option<&Node>) -> Locality {
    let label = |key: &str| {
        let value = node.and_then(|node| node.metadata.labels.get(key));
        value.unwrap_or_default().into()
    };
    Locality {
        region: label("topology.kubernetes.io/region"),
        zone: label("topology.kubernetes.io/zone"),
        subzone: label("topology.istio.io/subzone"),
    }
}
