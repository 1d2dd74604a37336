//! Pure. Which waypoint a service asked for, from labels alone.
//!
//! The address is known before the waypoint is: `<gateway>.<namespace>.svc.<domain>`, port 15008. It
//! is published from the moment the label exists, so that no proxy ever takes the way around.

use mesh::model::{Destination, GatewayAddress};
use objects::labels::Labels;

use super::rule::Rule;
use super::{Cluster, Finding};

/// Port of a waypoint's tunnels.
pub const HBONE_PORT: u16 = 15008;
/// Names the waypoint; `none` opts out.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// Namespace of the waypoint, when it is another than the object's.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// `open` lets traffic pass while there is no waypoint.
pub const FAILURE_MODE: &str = "weft.dev/waypoint-failure-mode";
/// Who deployed a service that is itself a waypoint.
const MANAGED: &str = "gateway.istio.io/managed";
const MANAGED_WAYPOINT: &[&str] = &["istio.io-mesh-controller", "istio.io-eastwest-controller"];

/// The labels that decide, of an object and of its namespace.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Labels of the object.
    pub own: &'a Labels,
    /// Labels of its namespace; `None` when the namespace is not known (yet).
    pub namespace: Option<&'a Labels>,
}

/// The waypoint of service `name` in `namespace`, and what its owner should know about it.
///
/// The object's label stands against its namespace's entirely.
pub fn of_service(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    wish: Wish<'_>,
) -> (Option<GatewayAddress>, Option<Finding>) {
    let is_waypoint = wish
        .own
        .get(MANAGED)
        .is_some_and(|by| MANAGED_WAYPOINT.contains(&by));
    let Some((labels, gateway)) = wish.asked().filter(|_| !is_waypoint) else {
        return (None, None);
    };
    let gateway_namespace = labels.get(USE_WAYPOINT_NAMESPACE).unwrap_or(namespace);
    if (gateway_namespace, gateway) == (namespace, name) {
        return (None, None);
    }
    let key = cluster.service_key(gateway_namespace, gateway);
    let (waypoint, effect) = if wish.fails_open() {
        (
            None,
            "traffic goes without one, as weft.dev/waypoint-failure-mode says".to_owned(),
        )
    } else {
        let effect = format!("traffic is refused until one answers at {}", key.hostname);
        let destination = Destination::Hostname(key);
        (
            Some(GatewayAddress {
                destination,
                hbone_port: HBONE_PORT,
            }),
            effect,
        )
    };
    // Only what the object itself says has a line in it.
    let path: &[&str] = match wish.own.has(USE_WAYPOINT) {
        true => &["metadata", "labels", USE_WAYPOINT],
        false => &["metadata", "namespace"],
    };
    let reason = format!(
        "waypoint {gateway_namespace}/{gateway} is asked for, but this version deploys no \
         waypoints: {effect}"
    );
    (
        waypoint,
        Some(Finding::new(Rule::WaypointMissing, path, reason)),
    )
}

impl<'a> Wish<'a> {
    /// The labels that name a gateway, and its name.
    fn asked(self) -> Option<(&'a Labels, &'a str)> {
        let holder = if self.own.has(USE_WAYPOINT) {
            Some(self.own)
        } else {
            self.namespace
        };
        let labels = holder?;
        let gateway = labels.get(USE_WAYPOINT)?;
        (gateway != "none" && !gateway.is_empty()).then_some((labels, gateway))
    }

    fn fails_open(self) -> bool {
        let mode = self.own.get(FAILURE_MODE);
        mode.or_else(|| self.namespace?.get(FAILURE_MODE)) == Some("open")
    }
}
