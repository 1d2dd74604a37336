//! Names by which the mesh's own programs know their cluster and its controller.

/// Where its programs find the controller.
pub(crate) const CONTROLLER_ADDRESS: &str = "https://weft-controller.weft-system.svc:15012";
/// The cluster's name.
pub(crate) const CLUSTER_ID: &str = "Kubernetes";
/// Domain of service host names.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

/// Image that the kubelet runs as a waypoint.
pub(crate) const WAYPOINT_IMAGE: &str = "weft.dev/waypoint";
