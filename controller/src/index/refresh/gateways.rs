//! Pure. What gateways come to: waypoints with their settings.

use mesh::model::observe::Telemetry;
use mesh::names::NamespacedName;

use super::{Computed, View};
use crate::index::for_waypoints::{ForWaypoints, Guidance};
use crate::resources::Audience;
use crate::translate::waypoint::bind::Gateways as _;
use crate::translate::waypoint::settings;

pub(super) fn gateway(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let gateway = view.find(name)?;
    let telemetry = Telemetry::default();
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
