//! Pure. The hosts that VirtualServices and DestinationRules name, in a form that changes with nothing else.

use mesh::names::NamespacedName;
use objects::istio::VirtualService;
use objects::istio::virtual_service::Destination;
use objects::object::Object;

use crate::translate::{Cluster, host};

/// A host as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Named {
    /// A short name, in its namespace.
    Service(NamespacedName),
    /// A full name.
    Host(String),
    /// Any wildcard: there are few, and all are looked at.
    Wildcard,
}

fn named(host: &str, namespace: &str) -> Named {
    if host.contains('*') {
        Named::Wildcard
    } else if host.contains('.') {
        Named::Host(host.to_owned())
    } else {
        Named::Service(NamespacedName::new(namespace, host))
    }
}

/// Everything that may mean this host.
pub(super) fn of_host(host: &str, cluster: &Cluster) -> Vec<Named> {
    let mut names = vec![Named::Host(host.to_owned()), Named::Wildcard];
    if let Some((namespace, name)) = cluster.service_of(host) {
        names.push(Named::Service(NamespacedName::new(namespace, name)));
    }
    names
}

/// The full name; `None` for wildcards.
pub(super) fn full(written: &str, namespace: &str, cluster: &Cluster) -> Option<String> {
    let full = host::full_name(written, namespace, &cluster.domain);
    (!written.contains('*')).then(|| full.into_owned())
}

/// What an object is about.
pub(super) fn about(object: &Object) -> Vec<Named> {
    let namespace = &*object.key().namespace;
    let routes = object.virtual_service().into_iter();
    let rule = object.destination_rule().into_iter();
    let hosts = routes.flat_map(|it| &it.spec.hosts);
    let hosts = hosts.chain(rule.map(|it| &it.spec.host));
    hosts.map(|it| named(it, namespace)).collect()
}

/// Where a VirtualService sends, copies included.
pub(super) fn sending(object: &Object) -> Vec<Named> {
    let namespace = &*object.key().namespace;
    let routes = object.virtual_service().into_iter();
    let destinations = routes.flat_map(destinations);
    destinations.map(|it| named(&it.host, namespace)).collect()
}

fn destinations(object: &VirtualService) -> impl Iterator<Item = &Destination> {
    let requests = object.spec.http.iter().flat_map(|it| {
        let sent = it.route.iter().filter_map(|it| it.destination.as_ref());
        let copied = it.mirrors.iter().filter_map(|it| it.destination.as_ref());
        sent.chain(copied).chain(it.mirror.as_ref())
    });
    let tls = object.spec.tls.iter().flat_map(|it| &it.route);
    let tcp = object.spec.tcp.iter().flat_map(|it| &it.route);
    let opaque = tls.chain(tcp).filter_map(|it| it.destination.as_ref());
    requests.chain(opaque)
}

/// The VirtualServices that one goes on with.
pub(super) fn delegates(object: &Object) -> Vec<NamespacedName> {
    let own = &*object.key().namespace;
    let routes = object.virtual_service().into_iter();
    let routes = routes.flat_map(|it| &it.spec.http);
    let delegates = routes.filter_map(|it| it.delegate.as_ref());
    let name = |namespace: &str, name: &str| NamespacedName::new(namespace, name);
    delegates
        .map(|it| match it.namespace.as_str() {
            "" => name(own, &it.name),
            namespace => name(namespace, &it.name),
        })
        .collect()
}
