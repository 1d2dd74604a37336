//! Pure. What policies are to waypoints: where their references lead, and who must know.

use mesh::model::Origin;
use mesh::model::attached::{AttachedPolicy, PolicyBody, Target};
use mesh::names::{NamespacedHostname, NamespacedName};
use objects::istio::authorization_policy::TargetRef;
use objects::kinds::{Key, Kind};
use objects::raw::Path;
use objects::weft::rate_limit_policy::LimitTarget;

use super::{Computed, View};
use crate::index::for_waypoints::{ForWaypoints, Guidance};
use crate::index::hosts;
use crate::index::links::Output;
use crate::resources::Audience;
use crate::translate::attachment::{self, Place, WAYPOINT_CLASS};
use crate::translate::service_entry::{self, own_hosts, records};
use crate::translate::{policies::Policies, service};
use crate::translate::{rate_limit, request_authentication};

/// What a RequestAuthentication comes to.
pub(super) fn tokens(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, book, .. } = view;
    let key = Output::Authentication(name.clone()).key();
    let object = shelf.find(&key)?;
    let written = book.tokens(object)?;
    let in_force = book.tokens(book.in_force(object))?;
    let (findings, status) = request_authentication::report(
        &written,
        &places(view, &key.namespace, &written.targets),
        book.has_last_good(&key),
    );
    let body = PolicyBody::Authentication(in_force.rules);
    let told = told(view, &key, &in_force.targets, body);
    Some(Computed {
        for_waypoints: told.into_iter().collect(),
        findings,
        status: Some(status),
        ..Computed::default()
    })
}

/// What a RateLimitPolicy comes to.
pub(super) fn limits(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, book, .. } = view;
    let key = Output::RateLimit(name.clone()).key();
    let object = shelf.find(&key)?;
    let written = rate_limit::translate(object.rate_limit_policy()?);
    let in_force = rate_limit::translate(book.in_force(object).rate_limit_policy()?);
    let places = |targets: &[(LimitTarget, Path)]| -> Vec<Place> {
        let places = targets
            .iter()
            .map(|(it, _)| limited(view, &key.namespace, it));
        places.map(|it| it.unwrap_or(Place::Missing)).collect()
    };
    let has_last_good = book.has_last_good(&key);
    let (findings, status) = rate_limit::report(&written, &places(&written.targets), has_last_good);
    let body = PolicyBody::RateLimit(in_force.limits);
    let told = tell(&key, &places(&in_force.targets), body);
    Some(Computed {
        for_waypoints: told.into_iter().collect(),
        findings,
        status: Some(status),
        ..Computed::default()
    })
}

/// Where a target of limits leads.
fn limited(view: View<'_>, namespace: &str, target: &LimitTarget) -> Option<Place> {
    match target.kind.as_str() {
        "Service" | "Gateway" => place(view, namespace, &rate_limit::reference(target)),
        "HTTPRoute" => of_route(view, namespace, target),
        // The object is told so where it is read.
        _ => Some(Place::Unbound),
    }
}

/// A route, by the waypoints of the services that it is attached to.
fn of_route(view: View<'_>, namespace: &str, target: &LimitTarget) -> Option<Place> {
    let key = Key::new(Kind::HTTPRoute, namespace, &target.name);
    let route = view.shelf.find(&key)?.http_route()?;
    let parents = route
        .spec
        .parent_refs
        .iter()
        .filter(|it| it.kind == "Service");
    let mut gateways = Vec::new();
    for parent in parents {
        let place = parent.namespace.as_deref().unwrap_or(namespace);
        let name = NamespacedName::new(place, parent.name.as_str());
        if let Some(Place::Bound { gateways: told, .. }) = of_service(view, &name) {
            gateways.extend(told);
        }
    }
    let origin = Origin {
        rule: target.section_name.as_deref().unwrap_or_default().into(),
        ..Origin::object("HTTPRoute", namespace, target.name.as_str())
    };
    Some(Place::of(vec![Target::Route(origin)], gateways))
}

/// What waypoints are told of a policy; `None` when none serves any of its targets.
pub(super) fn told(
    view: View<'_>,
    key: &Key,
    references: &[(TargetRef, Path)],
    body: PolicyBody,
) -> Option<ForWaypoints> {
    tell(key, &places(view, &key.namespace, references), body)
}

fn tell(key: &Key, places: &[Place], body: PolicyBody) -> Option<ForWaypoints> {
    let (targets, gateways) = attachment::reach(places);
    let kind = key.kind.facts().word;
    let policy = AttachedPolicy {
        origin: Origin::object(kind, key.namespace.as_str(), key.name.as_str()),
        targets,
        body,
    };
    (!gateways.is_empty()).then(|| ForWaypoints {
        guidance: Guidance::Attached(Box::new(policy)),
        audience: Audience::gateways(gateways),
    })
}

/// Where references lead.
pub(super) fn places(
    view: View<'_>,
    namespace: &str,
    references: &[(TargetRef, Path)],
) -> Vec<Place> {
    let root = view.book.policies().root();
    let places = references.iter().map(|(target, _)| {
        match attachment::complaint(root, namespace, target) {
            // The object is told so where it is read.
            Some(_) => Place::Unbound,
            None => place(view, namespace, target).unwrap_or(Place::Missing),
        }
    });
    places.collect()
}

fn place(view: View<'_>, namespace: &str, target: &TargetRef) -> Option<Place> {
    let name = NamespacedName::new(namespace, target.name.as_str());
    match target.kind.as_str() {
        "Service" => of_service(view, &name),
        "ServiceEntry" => of_entry(view, &name),
        "Gateway" => {
            let gateway = view.shelf.gateway(namespace, &target.name)?;
            let is_waypoint = gateway.spec.gateway_class_name == WAYPOINT_CLASS;
            let gateways = is_waypoint.then(|| name.clone());
            Some(Place::of(
                vec![Target::Gateway(name)],
                gateways.into_iter().collect(),
            ))
        }
        _ => Some(of_class(view)),
    }
}

fn of_service(view: View<'_>, name: &NamespacedName) -> Option<Place> {
    let object = view.shelf.service(&name.namespace, &name.name)?;
    let namespace = view.shelf.namespace(&name.namespace);
    let context = service::Context {
        cluster: view.cluster,
        namespace: namespace.map(|it| &it.metadata),
        gateways: &view,
    };
    let bound = service::waypoint(&context, &object.metadata);
    let key = view.cluster.service_key(&name.namespace, &name.name);
    Some(Place::of(vec![Target::Service(key)], bound.gateways))
}

fn of_entry(view: View<'_>, name: &NamespacedName) -> Option<Place> {
    let View { shelf, cluster, .. } = view;
    let entry = shelf.service_entry(&name.namespace, &name.name)?;
    let seen = hosts::seen(shelf, cluster, &name.namespace);
    let Some(visibility) = seen.visibility() else {
        return Some(Place::Unbound);
    };
    let standing = hosts::standing(shelf, cluster, entry);
    let context = service_entry::Context {
        cluster,
        namespace: shelf.namespace(&name.namespace).map(|it| &it.metadata),
        seen,
        standing: &standing,
        given: &[],
        selects_something: false,
        policies: &Policies::default(),
        gateways: &view,
    };
    let bound = records::waypoint(&context, entry, visibility);
    let hosts = own_hosts(entry, &standing).into_iter();
    let services = hosts.map(|host| NamespacedHostname::new(name.namespace.clone(), host));
    Some(Place::of(
        services.map(Target::Service).collect(),
        bound.gateways,
    ))
}

/// All waypoints there are.
fn of_class(view: View<'_>) -> Place {
    let gateways = view.shelf.gateways();
    let waypoints = gateways.filter(|it| it.spec.gateway_class_name == WAYPOINT_CLASS);
    let names: Vec<NamespacedName> = waypoints
        .map(|it| NamespacedName::new(it.metadata.namespace.as_str(), it.metadata.name.as_str()))
        .collect();
    Place::of(names.iter().cloned().map(Target::Gateway).collect(), names)
}
