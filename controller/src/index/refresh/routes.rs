//! Pure. The routes of services that waypoints serve, and what is to be said about routes and BackendTLSPolicies.

mod attachments;
mod parents;
pub(super) mod around;

use mesh::model::observe::Telemetry;
use mesh::names::NamespacedName;
use objects::kinds::Key;

use super::{Computed, View, telemetry, traffic};
use crate::index::for_waypoints::{ForWaypoints, Guidance};
use crate::resources::Audience;
use crate::translate::backend_tls::report::Held;
use crate::translate::backend_tls::{self, report as tls_report};
use crate::translate::routes::destinations::Destinations;
use crate::translate::routes::{self, report};
use crate::translate::telemetry::{Target, Waypoint};
use around::Around;
use parents::Served;

/// The routes of a service, or of the hosts of a service entry; none when no waypoint serves it.
pub(super) fn routes(view: View<'_>, key: &Key) -> Option<Computed> {
    let Served {
        services,
        gateways,
        is_parent,
    } = parents::served(view, key)?;
    let client = gateways.first()?.namespace.clone();
    let around = Around {
        view,
        client: Some(&client),
    };
    let attached = match is_parent {
        true => attachments::of(view, key),
        false => Vec::new(),
    };
    let audience = Audience::gateways(gateways.iter().cloned());
    let telemetry = observed(view, key, gateways.first()?);
    let for_waypoints = services.iter().map(|service| {
        let mut first = |port: u16, to: &mut Destinations<'_>| {
            traffic::family(view, (key, service), &client, port, to)
        };
        let mut routes = routes::of_service(&around, service, &attached, &mut first);
        routes.telemetry.clone_from(&telemetry);
        ForWaypoints {
            guidance: Guidance::Routes(Box::new(routes)),
            audience: audience.clone(),
        }
    });
    Some(Computed {
        for_waypoints: for_waypoints.collect(),
        ..Computed::default()
    })
}

/// What is logged, counted and traced of a service in particular. Of several waypoints it is as at the first.
fn observed(view: View<'_>, key: &Key, gateway: &NamespacedName) -> Option<Telemetry> {
    let class = view.shelf.gateway(&gateway.namespace, &gateway.name)?;
    let waypoint = Waypoint {
        gateway,
        class: &class.spec.gateway_class_name,
    };
    let service = Target {
        kind: key.kind.facts().word,
        namespace: &key.namespace,
        name: &key.name,
    };
    telemetry::of_service(view, &waypoint, service)
}

/// What is to be said about a route.
pub(super) fn route(view: View<'_>, key: &Key) -> Option<Computed> {
    let route = view.shelf.find(key)?.route()?;
    let attachments = attachments::outcomes(view, route);
    let around = Around { view, client: None };
    let (findings, status) = report::report(route, &around, &attachments);
    Some(Computed {
        findings,
        status: Some(status),
        ..Computed::default()
    })
}

/// What is to be said about a BackendTLSPolicy.
pub(super) fn tls_policy(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let shelf = view.shelf;
    let policy = shelf.tls_policy(&name.namespace, &name.name)?;
    let held = policy.spec.target_refs.iter().map(|target| {
        let (kind, name) = (&target.kind, &target.name);
        let shown = format!("{kind} {}/{name}", policy.metadata.namespace);
        let Some(key) = target.object(&policy.metadata.namespace) else {
            return Held::Missing(format!("{shown} is nothing that TLS is spoken to"));
        };
        let ports = around::port_names(view, &key);
        let Some(ports) = ports else {
            return Held::Missing(format!("there is no {shown}"));
        };
        let section = target.section_name.as_deref();
        let mut ours: Vec<&str> = ports.iter().map(String::as_str).collect();
        ours.retain(|port| section.is_none_or(|section| section == *port));
        if let (Some(section), []) = (section, ours.as_slice()) {
            return Held::Missing(format!("{shown} has no port named {section:?}"));
        }
        let chosen = |port: &&str| backend_tls::choose(shelf.tls_policies_on(&key), &key, port);
        let mut others = ours.iter().map(chosen);
        let taken = others.find_map(|it| it.filter(|it| it.metadata.name != policy.metadata.name));
        let holds_any = ours
            .iter()
            .filter_map(chosen)
            .any(|it| it.metadata.name == policy.metadata.name);
        match taken {
            Some(other) if !holds_any => Held::Taken(format!(
                "BackendTLSPolicy {} holds for {shown}",
                other.metadata.name
            )),
            _ => Held::Yes,
        }
    });
    let held: Vec<Held> = held.collect();
    let maps = |namespace: &str, name: &str| shelf.config_map(namespace, name);
    let (findings, status) = tls_report::report(policy, &maps, &held);
    Some(Computed {
        findings,
        status: Some(status),
        ..Computed::default()
    })
}
