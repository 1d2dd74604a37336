//! Pure. What points at what: the way back from a node, a service, a host or a gateway to the objects that name it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use mesh::names::NamespacedName;
use objects::gateway_api::reference::ISTIO;
use objects::kinds::{Key, Kind};
use objects::labels::Labels;
use objects::object::{Object, Typed};

use super::Replaced;

/// Label of the pods that a gateway runs as: its name.
pub const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Labels that name a gateway, each with the label of its namespace.
const GATEWAYS: [(&str, &str); 2] = [
    ("istio.io/use-waypoint", "istio.io/use-waypoint-namespace"),
    (
        "istio.io/use-waypoint-canary",
        "istio.io/use-waypoint-canary-namespace",
    ),
];

/// Sets of objects by what they name.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    pods_on: HashMap<String, BTreeSet<NamespacedName>>,
    slices_of: HashMap<NamespacedName, BTreeSet<NamespacedName>>,
    entries_of: HashMap<String, BTreeSet<NamespacedName>>,
    asking_for: HashMap<NamespacedName, BTreeSet<Key>>,
    attached_to: HashMap<Key, BTreeSet<Key>>,
    sending_to: HashMap<Target, BTreeSet<Key>>,
    /// BackendTLSPolicies by the config maps that they read certificates from, and by the services they are about.
    policies_on: HashMap<Key, BTreeSet<Key>>,
}

/// Where a route sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// To a service.
    Service(NamespacedName),
    /// To whatever has a host name.
    Host(String),
}

impl Pointers {
    /// Takes a change over.
    pub(super) fn follow(&mut self, replaced: &Replaced) {
        let name = || NamespacedName::new(&*replaced.key.namespace, &*replaced.key.name);
        let key = || replaced.key.clone();
        turn(&mut self.pods_on, both(replaced, nodes), name);
        turn(&mut self.entries_of, both(replaced, hosts), name);
        turn(&mut self.slices_of, both(replaced, services), name);
        turn(&mut self.asking_for, both(replaced, gateways), key);
        turn(&mut self.attached_to, both(replaced, parents), key);
        turn(&mut self.sending_to, both(replaced, backends), key);
        turn(&mut self.policies_on, both(replaced, tls_targets), key);
    }

    pub(super) fn pods_on(&self, node: &str) -> impl Iterator<Item = &NamespacedName> {
        self.pods_on.get(node).into_iter().flatten()
    }

    pub(super) fn slices_of(
        &self,
        namespace: &str,
        service: &str,
    ) -> impl Iterator<Item = &NamespacedName> {
        let names = self.slices_of.get(&NamespacedName::new(namespace, service));
        names.into_iter().flatten()
    }

    pub(super) fn entries_of(&self, host: &str) -> impl Iterator<Item = &NamespacedName> {
        self.entries_of.get(host).into_iter().flatten()
    }

    pub(super) fn attached_to(&self, parent: &Key) -> impl Iterator<Item = &Key> {
        self.attached_to.get(parent).into_iter().flatten()
    }

    /// Those of one kind and namespace, however many others there are.
    pub(super) fn attached_of(
        &self,
        parent: &Key,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = &Key> {
        let first = Key {
            kind,
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let keys = self.attached_to.get(parent).into_iter();
        let keys = keys.flat_map(move |keys| keys.range(&first..));
        keys.take_while(move |key| key.kind == kind && key.namespace == namespace)
    }

    pub(super) fn sending_to(&self, target: &Target) -> impl Iterator<Item = &Key> {
        self.sending_to.get(target).into_iter().flatten()
    }

    pub(super) fn policies_on(&self, key: &Key) -> impl Iterator<Item = &Key> {
        self.policies_on.get(key).into_iter().flatten()
    }

    pub(super) fn asking_for(&self, gateway: &NamespacedName) -> impl Iterator<Item = &Key> {
        self.asking_for.get(gateway).into_iter().flatten()
    }
}

/// What a BackendTLSPolicy is about and reads.
fn tls_targets(object: &Object) -> Vec<Key> {
    let Some(policy) = object.backend_tls_policy() else {
        return Vec::new();
    };
    let namespace = &*policy.metadata.namespace;
    let targets = policy.spec.target_refs.iter();
    let targets = targets.filter_map(|it| it.object(namespace));
    let certificates = policy.spec.validation.ca_certificate_refs.iter();
    let certificates = certificates.filter(|it| it.group.is_empty() && it.kind == "ConfigMap");
    let certificates = certificates.map(|it| Key::new(Kind::ConfigMap, namespace, &it.name));
    once(targets.chain(certificates))
}

/// The services and service entries that a route is attached to.
fn parents(object: &Object) -> Vec<Key> {
    let Some(route) = object.route() else {
        return Vec::new();
    };
    let namespace = &*object.key().namespace;
    let parents = route.parents().iter();
    once(parents.filter_map(|it| it.object(namespace)))
}

/// Where a route sends, copies included.
fn backends(object: &Object) -> Vec<Target> {
    let Some(route) = object.route() else {
        return Vec::new();
    };
    let namespace = &*object.key().namespace;
    let targets = route.backends().into_iter().filter_map(|it| {
        let elsewhere = it.namespace.as_deref().unwrap_or(namespace);
        match (it.group.as_str(), it.kind.as_str()) {
            ("", "Service") => {
                let name = NamespacedName::new(elsewhere, it.name.as_str());
                Some(Target::Service(name))
            }
            (ISTIO, "Hostname") => Some(Target::Host(it.name.clone())),
            _ => None,
        }
    });
    once(targets)
}

/// Each of them once.
fn once<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for one in all {
        if !list.contains(&one) {
            list.push(one);
        }
    }
    list
}

/// What an object named before, and what it names now.
fn both<T>(replaced: &Replaced, of: fn(&Object) -> Vec<T>) -> [Vec<T>; 2] {
    let names = |object: &Option<super::Shelved>| object.as_deref().map(of).unwrap_or_default();
    [names(&replaced.before), names(&replaced.after)]
}

/// Takes `who` away from everything named before and adds it to everything named now.
fn turn<K: Eq + Hash, W: Ord>(
    map: &mut HashMap<K, BTreeSet<W>>,
    [before, after]: [Vec<K>; 2],
    who: impl Fn() -> W,
) {
    for key in before.iter().filter(|key| !after.contains(key)) {
        let Some(values) = map.get_mut(key) else {
            continue;
        };
        values.remove(&who());
        if values.is_empty() {
            map.remove(key);
        }
    }
    for key in after {
        if !before.contains(&key) {
            map.entry(key).or_default().insert(who());
        }
    }
}

fn nodes(object: &Object) -> Vec<String> {
    let node = object.pod().map(|pod| &pod.spec.node_name);
    node.filter(|node| !node.is_empty())
        .cloned()
        .into_iter()
        .collect()
}

fn hosts(object: &Object) -> Vec<String> {
    let entry = object.service_entry();
    entry.map(|it| it.spec.hosts.clone()).unwrap_or_default()
}

fn services(object: &Object) -> Vec<NamespacedName> {
    let service = object.endpoint_slice().and_then(|it| it.service_name());
    let namespace = &*object.key().namespace;
    service
        .map(|service| NamespacedName::new(namespace, service))
        .into_iter()
        .collect()
}

/// The gateways an object's labels name. A namespace's labels speak for everything in it.
fn gateways(object: &Object) -> Vec<NamespacedName> {
    let metadata = object.metadata();
    let namespace = match object.typed() {
        Typed::Namespace(_) => metadata.name.as_str(),
        _ => metadata.namespace.as_str(),
    };
    let mut names = Vec::new();
    match object.typed() {
        Typed::Namespace(_) | Typed::Service(_) => {
            named_by(&metadata.labels, namespace, &mut names)
        }
        Typed::Pod(_) => {
            named_by(&metadata.labels, namespace, &mut names);
            let own = metadata.labels.get(GATEWAY_NAME);
            names.extend(own.map(|name| NamespacedName::new(namespace, name)));
        }
        Typed::WorkloadEntry(entry) => named_by(&entry.labels(), namespace, &mut names),
        Typed::ServiceEntry(entry) => {
            named_by(&metadata.labels, namespace, &mut names);
            for endpoint in &entry.spec.endpoints {
                named_by(&endpoint.labels, namespace, &mut names);
            }
        }
        _ => {}
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn named_by(labels: &Labels, namespace: &str, names: &mut Vec<NamespacedName>) {
    for (name, elsewhere) in GATEWAYS {
        if let Some(name) = labels.get(name) {
            let namespace = labels.get(elsewhere).unwrap_or(namespace);
            names.push(NamespacedName::new(namespace, name));
        }
    }
}
