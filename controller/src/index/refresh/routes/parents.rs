//! Pure. What routes are attached to: the services that it is, and the waypoints that serve it.

use mesh::names::NamespacedName;
use objects::kinds::{Key, Kind};

use super::super::View;
use super::around::{known_hosts, known_service};
use crate::index::hosts;
use crate::translate::routes::Known;
use crate::translate::service_entry::{self, records};
use crate::translate::{policies::Policies, service};

/// A service or a service entry.
pub(super) struct Served {
    /// The service, or one for each host.
    pub(super) services: Vec<Known>,
    /// The gateways whose waypoints serve it.
    pub(super) gateways: Vec<NamespacedName>,
    /// Whether routes can be attached to it: a service needs an address of its own.
    pub(super) is_parent: bool,
}

/// What an object is to routes; `None` when it is not there, or is only a name for something else.
pub(super) fn served(view: View<'_>, key: &Key) -> Option<Served> {
    let View { shelf, cluster, .. } = view;
    let namespace = shelf.namespace(&key.namespace).map(|it| &it.metadata);
    if key.kind == Kind::Service {
        let object = shelf.service(&key.namespace, &key.name)?;
        let context = service::Context {
            cluster,
            namespace,
            gateways: &view,
        };
        return Some(Served {
            services: vec![known_service(view, &key.namespace, &key.name)?],
            gateways: service::waypoint(&context, &object.metadata).gateways,
            is_parent: !object.is_headless(),
        });
    }
    let entry = shelf.service_entry(&key.namespace, &key.name)?;
    let seen = hosts::seen(shelf, cluster, &key.namespace);
    let visibility = seen.visibility()?;
    let context = service_entry::Context {
        cluster,
        namespace,
        seen,
        standing: &[],
        given: &[],
        selects_something: false,
        policies: &Policies::default(),
        gateways: &view,
    };
    Some(Served {
        services: known_hosts(view, entry),
        gateways: records::waypoint(&context, entry, visibility).gateways,
        is_parent: true,
    })
}
