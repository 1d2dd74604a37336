//! Pure. Which routes are attached to what, and what became of each reference to a parent.

use objects::gateway_api::{ParentRef, Written};
use objects::kinds::{Key, Kind};
use objects::object::Object;

use super::super::View;
use super::parents::{self, Served};
use crate::shelf::ROUTES;
use crate::translate::routes::attach::Attached;
use crate::translate::routes::report::Attachment;

/// The routes that are attached to a parent.
pub(super) fn of<'a>(view: View<'a>, key: &Key) -> Vec<Attached<'a>> {
    let routes = view.shelf.attached_to(key).filter_map(Object::route);
    let attached = routes.map(|route| Attached {
        route,
        ports: ports(route, key),
    });
    attached.collect()
}

/// The ports of a parent that a route's references name.
fn ports(route: Written<'_>, key: &Key) -> Vec<Option<u16>> {
    let namespace = &*route.metadata().namespace;
    let references = route.parents().iter();
    let ours = references.filter(|it| it.object(namespace).as_ref() == Some(key));
    ours.map(|it| it.port).collect()
}

/// What became of each of a route's references, in order.
pub(super) fn outcomes(view: View<'_>, route: Written<'_>) -> Vec<Attachment> {
    let references = route.parents().iter();
    references.map(|it| outcome(view, route, it)).collect()
}

fn outcome(view: View<'_>, route: Written<'_>, reference: &ParentRef) -> Attachment {
    let namespace = &*route.metadata().namespace;
    let Some(key) = reference.object(namespace) else {
        return Attachment::Foreign;
    };
    let shown = key.to_string();
    let Some(served) = parents::served(view, &key) else {
        let reason = match key.kind {
            Kind::Service if view.shelf.find(&key).is_some() => {
                format!("{shown} is only a name for something else")
            }
            Kind::ServiceEntry if view.shelf.find(&key).is_some() => {
                format!("{shown} is hidden from everybody")
            }
            _ => format!("there is no {shown}"),
        };
        return Attachment::Missing(reason);
    };
    let Served {
        services,
        gateways,
        is_parent,
    } = served;
    if !is_parent {
        return Attachment::Missing(format!("{shown} has no address of its own"));
    }
    let all = services.first().map(|it| it.ports.clone());
    let mut ports = all.unwrap_or_default();
    if let Some(port) = reference.port {
        ports.retain(|it| *it == port);
        if ports.is_empty() {
            return Attachment::Missing(format!("{shown} has no port {port}"));
        }
    }
    // Of those of the same clients, the kinds before its own.
    let before = ROUTES.into_iter().take_while(|kind| *kind != route.kind());
    let rivals = before.flat_map(|kind| view.shelf.attached_of(&key, kind, namespace));
    let mut taken: Vec<(u16, String)> = Vec::new();
    for rival in rivals.filter_map(Object::route) {
        if taken.len() == ports.len() {
            break;
        }
        let named = self::ports(rival, &key);
        let is_taken = |port: u16| named.iter().any(|it| it.is_none_or(|it| it == port));
        for port in ports.iter().filter(|port| is_taken(**port)) {
            if taken.iter().all(|(other, _)| other != port) {
                let metadata = rival.metadata();
                let by = format!("{} {}/{}", rival.kind(), metadata.namespace, metadata.name);
                taken.push((*port, by));
            }
        }
    }
    taken.sort_unstable();
    Attachment::Attached {
        shown,
        is_all_taken: !ports.is_empty() && taken.len() == ports.len(),
        taken,
        waypoint: gateways.into_iter().next(),
    }
}
