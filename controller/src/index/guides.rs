//! The VirtualServices and DestinationRules in force, by the hosts they name; and what each change of them, or of what
//! they send to, touches.
//!
//! One with a value that cannot be leaves its last good version in force, with the hosts that version names.

mod named;
mod covered;

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use mesh::names::NamespacedName;
use objects::istio::{DestinationRule, ServiceEntry, VirtualService};
use objects::kinds::{Key, Kind};
use objects::kubernetes::{Namespace, Service};
use objects::object::Object;

use super::links::{Dirty, Output, routes};
use crate::shelf::{Replaced, Shelf};
use crate::translate::virtual_service::Others;
use crate::translate::{Cluster, destination_rule, membership, namespaces, virtual_service};
use named::Named;

/// Those in force.
#[derive(Clone, Debug, Default)]
pub struct Guides {
    in_force: HashMap<Key, Arc<Object>>,
    /// By the hosts they are about.
    about: HashMap<Named, BTreeSet<Key>>,
    /// VirtualServices by the hosts they send to.
    sending: HashMap<Named, BTreeSet<Key>>,
    /// VirtualServices by those they go on with.
    delegating: HashMap<NamespacedName, BTreeSet<Key>>,
}

impl Guides {
    /// The version of an object that is in force.
    pub fn in_force(&self, key: &Key) -> Option<&Object> {
        self.in_force.get(key).map(Arc::as_ref)
    }

    /// DestinationRules that may be about a host.
    pub fn rules_about(&self, host: &str, cluster: &Cluster) -> Vec<&DestinationRule> {
        let keys = self.keys(&self.about, host, cluster);
        let objects = keys.filter_map(|key| self.in_force(key));
        objects.filter_map(Object::destination_rule).collect()
    }

    /// VirtualServices that may be about a host.
    pub fn routes_about(&self, host: &str, cluster: &Cluster) -> Vec<&VirtualService> {
        let keys = self.keys(&self.about, host, cluster);
        let objects = keys.filter_map(|key| self.in_force(key));
        objects.filter_map(Object::virtual_service).collect()
    }

    fn keys<'a>(
        &'a self,
        map: &'a HashMap<Named, BTreeSet<Key>>,
        host: &str,
        cluster: &Cluster,
    ) -> impl Iterator<Item = &'a Key> {
        let names = named::of_host(host, cluster);
        let found: Vec<_> = names.iter().filter_map(|it| map.get(it)).collect();
        found.into_iter().flatten()
    }

    /// Takes a change in, and adds what depends on it.
    pub fn take_in(
        &mut self,
        replaced: &Replaced,
        shelf: &Shelf,
        cluster: &Cluster,
        dirty: &mut Dirty,
    ) {
        let place = Place { shelf, cluster };
        match replaced.key.kind {
            Kind::VirtualService | Kind::DestinationRule => {
                let written = replaced.after.as_ref();
                let before = self.in_force.get(&replaced.key).cloned();
                let after = match written {
                    Some(object) if is_rejected(object, cluster) => before.clone(),
                    written => written.cloned(),
                };
                dirty.add(said_of(&replaced.key));
                self.turn(&replaced.key, [before.as_deref(), after.as_deref()]);
                for object in [&before, &after].into_iter().flatten() {
                    self.touched(object, place, dirty);
                }
                match after {
                    Some(object) => self.in_force.insert(replaced.key.clone(), object),
                    None => self.in_force.remove(&replaced.key),
                };
            }
            Kind::Service => {
                let [before, after] = replaced.both(Object::service);
                if before.map(service_facts) != after.map(service_facts) {
                    let key = cluster.service_key(&replaced.key.namespace, &replaced.key.name);
                    self.destination(&key.hostname, place, dirty);
                }
            }
            Kind::ServiceEntry => {
                let [before, after] = replaced.both(Object::service_entry);
                if before.map(entry_facts) != after.map(entry_facts) {
                    let entries = [before, after].into_iter().flatten();
                    let hosts = entries.flat_map(|it| &it.spec.hosts);
                    hosts.for_each(|host| self.destination(host, place, dirty));
                }
            }
            Kind::Namespace => {
                // its service entries may be seen by others now, or no longer
                let name = &*replaced.key.name;
                let seen = |it: Option<&Namespace>| {
                    cluster.seen(&namespaces::labels(name, it.map(|it| &it.metadata)))
                };
                let [before, after] = replaced.both(Object::namespace).map(seen);
                if before != after {
                    let entries = shelf.service_entries_in(name);
                    let hosts = entries.flat_map(|it| &it.spec.hosts);
                    hosts.for_each(|host| self.destination(host, place, dirty));
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self, key: &Key, forms: [Option<&Object>; 2]) {
        turn(&mut self.about, key, forms.map(|it| it.map(named::about)));
        turn(
            &mut self.sending,
            key,
            forms.map(|it| it.map(named::sending)),
        );
        turn(
            &mut self.delegating,
            key,
            forms.map(|it| it.map(named::delegates)),
        );
    }

    /// What depends on an object, in a version that was or is in force.
    fn touched(&self, object: &Object, place: Place<'_>, dirty: &mut Dirty) {
        if let Some(rule) = object.destination_rule() {
            let (host, namespace) = (&rule.spec.host, &rule.metadata.namespace);
            for key in covered::by(host, namespace, place.shelf, place.cluster) {
                routes::destination(&key, place.shelf, place.cluster, dirty);
            }
            match named::full(host, namespace, place.cluster) {
                Some(host) => self.destination(&host, place, dirty),
                None => {
                    let all = self.sending.values().flatten();
                    all.for_each(|key| self.turned(key, place, dirty));
                }
            }
        }
        if let Some(guide) = object.virtual_service() {
            routes_of(guide, place, dirty);
            let metadata = &guide.metadata;
            let name = NamespacedName::new(&*metadata.namespace, &*metadata.name);
            let roots = self.delegating.get(&name).into_iter().flatten();
            roots.for_each(|root| self.turned(root, place, dirty));
        }
    }

    /// What is behind a host has turned: those that send to it, and whoever goes on with these.
    fn destination(&self, host: &str, place: Place<'_>, dirty: &mut Dirty) {
        for key in self.keys(&self.sending, host, place.cluster) {
            self.turned(key, place, dirty);
            let name = NamespacedName::new(&*key.namespace, &*key.name);
            let roots = self.delegating.get(&name).into_iter().flatten();
            roots.for_each(|root| self.turned(root, place, dirty));
        }
    }

    /// What a VirtualService comes to, and what is said of it, may have turned.
    fn turned(&self, key: &Key, place: Place<'_>, dirty: &mut Dirty) {
        dirty.add(said_of(key));
        if let Some(guide) = self.in_force(key).and_then(Object::virtual_service) {
            routes_of(guide, place, dirty);
        }
    }
}

/// Where hosts are looked up.
#[derive(Clone, Copy)]
struct Place<'a> {
    shelf: &'a Shelf,
    cluster: &'a Cluster,
}

/// The routes of the services that a VirtualService is about.
fn routes_of(guide: &VirtualService, place: Place<'_>, dirty: &mut Dirty) {
    let namespace = &guide.metadata.namespace;
    for host in &guide.spec.hosts {
        let keys = covered::by(host, namespace, place.shelf, place.cluster);
        keys.into_iter()
            .for_each(|key| dirty.add(Output::Routes(key)));
    }
}

impl Others for Guides {
    fn find(&self, namespace: &str, name: &str) -> Option<&VirtualService> {
        let key = Key::new(Kind::VirtualService, namespace, name);
        self.in_force(&key)?.virtual_service()
    }
}

fn is_rejected(object: &Object, cluster: &Cluster) -> bool {
    let routes = object.virtual_service();
    let rule = object.destination_rule();
    routes.is_some_and(|it| virtual_service::is_rejected(it, cluster))
        || rule.is_some_and(destination_rule::is_rejected)
}

fn said_of(key: &Key) -> Output {
    let name = NamespacedName::new(&*key.namespace, &*key.name);
    match key.kind {
        Kind::DestinationRule => Output::DestinationRule(name),
        _ => Output::VirtualService(name),
    }
}

/// What of a service decides whether destinations lead to it.
fn service_facts(service: &Service) -> impl PartialEq {
    let ports = membership::service_ports(service).map(|it| it.port);
    (service.spec.r#type, ports.collect::<Vec<_>>())
}

/// What of a service entry decides whether destinations lead to it.
fn entry_facts(entry: &ServiceEntry) -> impl PartialEq {
    let ports = entry.spec.ports.iter();
    let ports: Vec<_> = ports.map(|it| (it.number, it.is_udp())).collect();
    (entry.spec.hosts.clone(), ports)
}

/// Takes a key away from everything that was named and adds it to everything that is.
fn turn<K: Eq + Hash>(
    map: &mut HashMap<K, BTreeSet<Key>>,
    key: &Key,
    [before, after]: [Option<Vec<K>>; 2],
) {
    for name in before.unwrap_or_default() {
        if let Some(keys) = map.get_mut(&name) {
            keys.remove(key);
            if keys.is_empty() {
                map.remove(&name);
            }
        }
    }
    for name in after.unwrap_or_default() {
        map.entry(name).or_default().insert(key.clone());
    }
}
