//! Pure. What routes are translated against, from the objects on the shelf.

use mesh::model::destination::{Reach, Subset, TrafficPolicy};
use mesh::names::NamespacedHostname;
use objects::istio::ServiceEntry;
use objects::kinds::{Key, Kind};

use super::super::View;
use crate::index::hosts;
use crate::translate::routes::{Known, Surroundings};
use crate::translate::service_entry::{self, Standing, own_hosts};
use crate::translate::{backend_tls, destination_rule, membership};

/// The shelf, as routes that a client follows see it.
#[derive(Clone, Copy)]
pub(in super::super) struct Around<'a> {
    pub(in super::super) view: View<'a>,
    /// Namespace of the waypoint; `None` where nobody asks how requests are spread.
    pub(in super::super) client: Option<&'a str>,
}

impl Surroundings for Around<'_> {
    fn service(&self, namespace: &str, name: &str) -> Option<Known> {
        known_service(self.view, namespace, name)
    }

    fn host(&self, host: &str, namespace: &str) -> Option<Known> {
        let View { shelf, cluster, .. } = self.view;
        let mut found = None;
        for entry in shelf.entries_of(host) {
            let standing = hosts::standing(shelf, cluster, entry);
            let mut pairs = entry.spec.hosts.iter().zip(standing);
            let own = pairs.find_map(|(name, standing)| match standing {
                Standing::Own { canonical } if name == host => Some(canonical),
                _ => None,
            });
            let Some(canonical) = own.filter(|_| is_seen(self.view, entry)) else {
                continue;
            };
            if *entry.metadata.namespace == *namespace {
                return Some(known_entry(entry, host));
            }
            if canonical {
                found = Some(known_entry(entry, host));
            }
        }
        let service = || {
            let (namespace, name) = cluster.service_of(host)?;
            known_service(self.view, namespace, name)
        };
        service().or(found)
    }

    fn policy_of(
        &self,
        service: &NamespacedHostname,
        port: u16,
        subset: Option<&str>,
    ) -> (Option<Subset>, TrafficPolicy) {
        let View {
            cluster, guides, ..
        } = self.view;
        let Some(client) = self.client else {
            return (None, TrafficPolicy::default());
        };
        let rules = destination_rule::Rules {
            all: &guides.rules_about(&service.hostname, cluster),
            client,
            cluster,
        };
        let (part, mut policy) = destination_rule::policy_of(&rules, service, port, subset);
        add_names(self.view, service, &mut policy);
        add_tls(self.view, service, port, &mut policy);
        (part, policy)
    }

    fn reach(&self, service: &NamespacedHostname) -> Reach {
        entry_of(self.view, service).map_or(Reach::Endpoints, service_entry::reach)
    }
}

/// A Kubernetes service; none for one that is only a name for something else.
pub(super) fn known_service(view: View<'_>, namespace: &str, name: &str) -> Option<Known> {
    let service = view.shelf.service(namespace, name);
    let service = service.filter(|it| hosts::has_host(Some(it)))?;
    let ports = membership::service_ports(service);
    Some(Known {
        key: view.cluster.service_key(namespace, name),
        ports: ports.map(|it| it.port).collect(),
    })
}

/// One host of a service entry.
pub(super) fn known_entry(entry: &ServiceEntry, host: &str) -> Known {
    let ports = entry.spec.ports.iter().filter(|it| !it.is_udp());
    Known {
        key: NamespacedHostname::new(entry.metadata.namespace.as_str(), host),
        ports: ports.map(|it| it.number).collect(),
    }
}

/// The hosts of a service entry that are its own and seen by anybody.
pub(super) fn known_hosts(view: View<'_>, entry: &ServiceEntry) -> Vec<Known> {
    if !is_seen(view, entry) {
        return Vec::new();
    }
    let standing = hosts::standing(view.shelf, view.cluster, entry);
    let own = own_hosts(entry, &standing).into_iter();
    own.map(|host| known_entry(entry, host)).collect()
}

fn is_seen(view: View<'_>, entry: &ServiceEntry) -> bool {
    let seen = hosts::seen(view.shelf, view.cluster, &entry.metadata.namespace);
    seen.visibility().is_some()
}

/// The names of the ports of a service or a service entry that a mesh carries; `None` when it is not there.
pub(super) fn port_names(view: View<'_>, key: &Key) -> Option<Vec<String>> {
    let (namespace, name) = (&*key.namespace, &*key.name);
    match key.kind {
        Kind::Service => {
            let service = view.shelf.service(namespace, name)?;
            let ports = membership::service_ports(service);
            Some(ports.map(|it| it.name.clone()).collect())
        }
        _ => {
            let entry = view.shelf.service_entry(namespace, name)?;
            let ports = entry.spec.ports.iter().filter(|it| !it.is_udp());
            Some(ports.map(|it| it.name.clone()).collect())
        }
    }
}

/// The service entry whose own host a service is.
fn entry_of<'a>(view: View<'a>, service: &NamespacedHostname) -> Option<&'a ServiceEntry> {
    let mut entries = view.shelf.entries_of(&service.hostname);
    entries.find(|it| {
        let standing = hosts::standing(view.shelf, view.cluster, it);
        *it.metadata.namespace == *service.namespace
            && own_hosts(it, &standing).contains(&&*service.hostname)
    })
}

/// The names that a service entry says its endpoints have, where the rule that asks for TLS does not say.
fn add_names(view: View<'_>, service: &NamespacedHostname, policy: &mut TrafficPolicy) {
    let Some(tls) = policy
        .tls
        .as_mut()
        .filter(|it| it.subject_alt_names.is_empty())
    else {
        return;
    };
    let entry = entry_of(view, service);
    let names = entry.into_iter().flat_map(|it| &it.spec.subject_alt_names);
    tls.subject_alt_names
        .extend(names.map(|it| it.as_str().into()));
}

/// The TLS of a BackendTLSPolicy, where nothing else has said what is spoken.
fn add_tls(view: View<'_>, service: &NamespacedHostname, port: u16, policy: &mut TrafficPolicy) {
    let View { shelf, cluster, .. } = view;
    if policy.tls.is_some() {
        return;
    }
    let object = cluster.service_of(&service.hostname);
    let object = object.and_then(|(place, name)| shelf.service(place, name));
    let (key, port_name) = if let Some(service) = object {
        let mut ports = membership::service_ports(service);
        let name = ports.find(|it| it.port == port).map(|it| it.name.clone());
        let metadata = &service.metadata;
        let key = Key::new(Kind::Service, &metadata.namespace, &metadata.name);
        (key, name)
    } else {
        let Some(entry) = entry_of(view, service) else {
            return;
        };
        let mut ports = entry.spec.ports.iter();
        let name = ports.find(|it| it.number == port).map(|it| it.name.clone());
        let metadata = &entry.metadata;
        let key = Key::new(Kind::ServiceEntry, &metadata.namespace, &metadata.name);
        (key, name)
    };
    let chosen = backend_tls::choose(
        shelf.tls_policies_on(&key),
        &key,
        &port_name.unwrap_or_default(),
    );
    let Some(chosen) = chosen else {
        return;
    };
    let maps = |namespace: &str, name: &str| shelf.config_map(namespace, name);
    policy.tls = Some(backend_tls::originate(chosen, &maps).tls);
    let metadata = &chosen.metadata;
    policy.origin.get_or_insert_with(|| {
        mesh::model::Origin::object(
            "BackendTLSPolicy",
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
    });
}
