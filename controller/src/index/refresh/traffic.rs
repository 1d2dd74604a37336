//! Pure. What VirtualServices give for a service, and what is to be said about them and about DestinationRules.

mod places;

use std::net::IpAddr;

use mesh::names::NamespacedName;
use objects::istio::{Subnet, VirtualService};
use objects::kinds::{Key, Kind};

use super::routes::around::Around;
use super::{Computed, View};
use crate::index::links::Output;
use crate::translate::routes::destinations::Destinations;
use crate::translate::routes::{Family, Known};
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Status};
use crate::translate::virtual_service::Site;
use crate::translate::{Finding, age, destination_rule, virtual_service};
use places::Places;

/// What VirtualServices say about a port of a service at a waypoint of namespace `client`: the older ones first.
/// `key` is the service's object.
pub(super) fn family(
    view: View<'_>,
    (key, service): (&Key, &Known),
    client: &str,
    port: u16,
    all: &mut Destinations<'_>,
) -> Family {
    let View {
        cluster, guides, ..
    } = view;
    let addresses = addresses(view, key, &service.key.hostname);
    let site = Site {
        cluster,
        service: &service.key,
        addresses: &addresses,
        waypoint: client,
    };
    let mut objects = guides.routes_about(&service.key.hostname, cluster);
    objects.retain(|it| virtual_service::applies(it, &site));
    objects.sort_by_cached_key(|it: &&VirtualService| {
        (age::of(&it.metadata), it.metadata.namespace.clone())
    });
    objects.dedup_by_key(|it| (&it.metadata.namespace, &it.metadata.name));
    let mut family = Family::default();
    for object in objects {
        let mut places = Places {
            all,
            dialled: Some(port),
        };
        let routes = virtual_service::routes(object, &site, port, guides, &mut places);
        let before = u32::try_from(family.rules.len()).unwrap_or(u32::MAX);
        family.http.extend(routes.http.into_iter().map(|mut entry| {
            entry.rule = entry.rule.saturating_add(before);
            entry
        }));
        family.rules.extend(routes.rules);
        family.tls.extend(routes.tls);
        family.tcp.extend(routes.tcp);
    }
    family
}

/// The addresses that clients of a host dial.
fn addresses(view: View<'_>, key: &Key, host: &str) -> Vec<IpAddr> {
    let View {
        shelf, allocator, ..
    } = view;
    if key.kind == Kind::Service {
        let service = shelf.service(&key.namespace, &key.name);
        let addresses = service.into_iter().flat_map(|it| it.addresses());
        return addresses.collect();
    }
    let entry = shelf.service_entry(&key.namespace, &key.name);
    let own = entry.into_iter().flat_map(|it| &it.spec.addresses);
    let own = own.filter_map(|it| Subnet::parse(it).map(|it| it.address));
    let name = NamespacedName::new(&*key.namespace, &*key.name);
    let given = allocator.given(&name).iter().filter(|it| it.host == host);
    let given = given.flat_map(|it| it.addresses.iter().copied());
    own.chain(given).collect()
}

pub(super) fn virtual_service(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let output = Output::VirtualService(name.clone());
    let written = view.shelf.find(&output.key())?.virtual_service()?;
    // It is for waypoints of its own namespace above all.
    let around = Around {
        view,
        client: Some(&name.namespace),
    };
    let mut places = Places {
        all: &mut Destinations::new(&around),
        dialled: None,
    };
    let findings = virtual_service::check(written, view.cluster, view.guides, &mut places);
    Some(computed(view, &output, findings))
}

pub(super) fn destination_rule(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let output = Output::DestinationRule(name.clone());
    let written = view.shelf.find(&output.key())?.destination_rule()?;
    Some(computed(view, &output, destination_rule::check(written)))
}

fn computed(view: View<'_>, output: &Output, findings: Vec<Finding>) -> Computed {
    let is_rejected = findings.iter().any(|it| it.rule == Rule::InvalidValue);
    let is_in_force = view.guides.in_force(&output.key()).is_some();
    let effect = match (is_rejected, is_in_force) {
        (false, _) => "in force at waypoints",
        (true, true) => "rejected: its last good version stays in force",
        (true, false) => "rejected: not in force",
    };
    let status = Status {
        conditions: vec![Condition::accepted(&findings, effect)],
        ..Status::default()
    };
    Computed {
        findings,
        status: Some(status),
        ..Computed::default()
    }
}
