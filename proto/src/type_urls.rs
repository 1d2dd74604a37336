//! Every type URL and extension name in one table.

/// Workloads and services; what node proxies subscribe to. Public contract.
pub const ADDRESS: &str = "type.googleapis.com/istio.workload.Address";
/// Workloads alone, an older form that other proxies ask for. Public contract.
pub const WORKLOAD: &str = "type.googleapis.com/istio.workload.Workload";
/// L4 authorization policies. Public contract.
pub const AUTHORIZATION: &str = "type.googleapis.com/istio.security.Authorization";

/// Where a resource came from; the content of [`ORIGIN_EXTENSION`]. Weft's own.
pub const ORIGIN: &str = "type.googleapis.com/weft.mesh.v1.Origin";
/// Name of the extension that carries [`ORIGIN`] on the public messages. Weft's own.
pub const ORIGIN_EXTENSION: &str = "weft.dev/origin";

/// Labels of a workload; the content of [`LABELS_EXTENSION`]. Weft's own.
pub const LABELS: &str = "type.googleapis.com/weft.mesh.v1.Labels";
/// Name of the extension that carries [`LABELS`] on workloads. Weft's own.
pub const LABELS_EXTENSION: &str = "weft.dev/labels";

/// For waypoints: the routes of one bound service. Weft's own.
pub const SERVICE_ROUTES: &str = "type.googleapis.com/weft.waypoint.v1.ServiceRoutes";
/// For waypoints: a policy that names its targets. Weft's own.
pub const ROUTE_POLICY: &str = "type.googleapis.com/weft.waypoint.v1.Policy";
/// For waypoints: what one waypoint is told about itself. Weft's own.
pub const WAYPOINT: &str = "type.googleapis.com/weft.waypoint.v1.Waypoint";
