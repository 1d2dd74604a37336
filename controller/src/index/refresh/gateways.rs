//! Pure. What gateways come to: waypoints with their settings.

use mesh::names::NamespacedName;

use super::{Computed, View, telemetry};
use crate::index::for_waypoints::{ForWaypoints, Guidance};
use crate::resources::Audience;
use crate::translate::telemetry::Waypoint;
use crate::translate::waypoint::bind::Gateways as _;
use crate::translate::waypoint::settings;

pub(super) fn gateway(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let gateway = view.find(name)?;
    let itself = Waypoint {
        gateway: name,
        class: &gateway.gateway.spec.gateway_class_name,
    };
    let telemetry = telemetry::of_waypoint(view, &itself);
    let waypoint = settings::of_gateway(view.cluster, &gateway, telemetry);
    let for_waypoints = waypoint.map(|waypoint| ForWaypoints {
        audience: Audience::gateways([waypoint.key.clone()]),
        guidance: Guidance::Waypoint(Box::new(waypoint)),
    });
    Some(Computed {
        findings: gateway.findings(),
        for_waypoints: for_waypoints.into_iter().collect(),
        ..Computed::default()
    })
}
