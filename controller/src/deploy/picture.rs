//! Pure. The objects that deployment depends on, and whom a change of one of them concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use objects::change::Change;
use objects::gateway_api::{Gateway, GatewayClass};
use objects::kinds::{Key, Kind};
use objects::kubernetes::{ConfigMap, Pod};
use objects::object::Object;

use super::Settings;
use super::waypoint::{CLASS, CONTROLLER, GATEWAY_NAME, MANAGED, MANAGED_BY, parameters};

/// ConfigMaps of the system namespace with this label hold what is said of all Gateways of a class.
pub(super) const DEFAULTS_FOR_CLASS: &str = "gateway.istio.io/defaults-for-class";
/// Namespaces that get no roots: nothing of a mesh runs there. Source: docs/compat.md#certificate-service.
const WITHOUT_ROOTS: [&str; 3] = ["kube-public", "kube-node-lease", "local-path-storage"];

/// What something is made for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The class of waypoints.
    Class,
    /// The roots of a namespace.
    Roots(String),
    /// A Gateway, by namespace and name.
    Waypoint(String, String),
}

/// All of them at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    objects: BTreeMap<Key, Arc<Object>>,
    system_namespace: Arc<str>,
    root_config_map: String,
}

impl Picture {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            objects: BTreeMap::new(),
            system_namespace: Arc::clone(&settings.system_namespace),
            root_config_map: settings.root_config_map.clone(),
        }
    }

    /// The picture after a change; whom it concerns goes to `touched`. Returns the object if somebody took away or
    /// changed what may have been written by us, so that it has to be written again.
    pub(super) fn take(&mut self, change: Change, touched: &mut BTreeSet<Subject>) -> Option<Key> {
        let Change { key, object } = change;
        let before = match &object {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(&key),
        };
        for form in [&before, &object].into_iter().flatten() {
            self.concerned(&key, form, touched);
        }
        let generation = |it: &Arc<Object>| it.metadata().generation;
        let is_drift = before
            .is_some_and(|before| object.is_none_or(|now| generation(&now) != generation(&before)));
        is_drift.then_some(key)
    }

    fn concerned(&self, key: &Key, object: &Object, touched: &mut BTreeSet<Subject>) {
        let labels = &object.metadata().labels;
        match key.kind {
            Kind::Namespace => {
                touched.insert(Subject::Roots(key.name.clone()));
                if *key.name == *self.system_namespace {
                    touched.extend(self.waypoints());
                }
            }
            Kind::GatewayClass => {
                touched.insert(Subject::Class);
                touched.extend(self.waypoints());
            }
            Kind::Gateway => {
                touched.insert(Subject::Roots(key.namespace.clone()));
                touched.insert(waypoint(&key.namespace, &key.name));
            }
            Kind::ConfigMap => {
                if key.name == self.root_config_map {
                    touched.insert(Subject::Roots(key.namespace.clone()));
                }
                let is_defaults = *key.namespace == *self.system_namespace;
                if is_defaults && labels.has(DEFAULTS_FOR_CLASS) {
                    touched.extend(self.waypoints());
                }
                let asks = |gateway: &Gateway| parameters(gateway).any(|it| it.name == key.name);
                let gateways = self.gateways_of(&key.namespace).filter(|it| asks(it));
                touched.extend(gateways.map(subject_of));
            }
            _ => {
                touched.extend(self.gateways_of(&key.namespace).map(subject_of));
                // Its Gateway may be gone, or have been another one's while the program did not run.
                touched.extend(made_for(key, object));
            }
        }
    }

    /// Everybody for whom something is made now, or was made.
    pub(super) fn everybody(&self) -> impl Iterator<Item = Subject> {
        let spaces = self.of_kind(Kind::Namespace);
        let spaces = spaces.map(|(key, _)| Subject::Roots(key.name.clone()));
        let homes = self.of_kind(Kind::Gateway);
        let homes = homes.map(|(key, _)| Subject::Roots(key.namespace.clone()));
        let made = super::parts::KINDS.iter();
        let made = made.flat_map(|kind| self.of_kind(*kind));
        let made = made.filter_map(|(key, object)| made_for(key, object));
        let class = std::iter::once(Subject::Class);
        let known = class.chain(spaces).chain(homes);
        known.chain(self.waypoints()).chain(made)
    }

    fn waypoints(&self) -> impl Iterator<Item = Subject> {
        let gateways = self.of_kind(Kind::Gateway);
        gateways.map(|(key, _)| waypoint(&key.namespace, &key.name))
    }

    /// One object.
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// A Gateway that is a waypoint of ours, with its document.
    pub(super) fn waypoint(&self, namespace: &str, name: &str) -> Option<(&Arc<Object>, &Gateway)> {
        let object = self.get(&Key::new(Kind::Gateway, namespace, name))?;
        let gateway = object.gateway().filter(|it| self.is_ours(it))?;
        Some((object, gateway))
    }

    /// By its class: one of ours, or the well-known one that nobody describes otherwise.
    fn is_ours(&self, gateway: &Gateway) -> bool {
        let name = &gateway.spec.gateway_class_name;
        match self.class(name) {
            Some(class) => class.spec.controller_name == CONTROLLER,
            None => name == CLASS,
        }
    }

    /// The class of that name.
    pub(super) fn class(&self, name: &str) -> Option<&GatewayClass> {
        let object = self.get(&Key::new(Kind::GatewayClass, "", name))?;
        object.gateway_class()
    }

    /// All classes.
    pub(super) fn classes(&self) -> impl Iterator<Item = (&Arc<Object>, &GatewayClass)> {
        let classes = self.of_kind(Kind::GatewayClass);
        classes.filter_map(|(_, object)| Some((object, object.gateway_class()?)))
    }

    /// The ConfigMap with what is said of all Gateways of a class; of several the first by name.
    pub(super) fn defaults(&self, class: &str) -> Option<&ConfigMap> {
        let mut maps = self.of_namespace(Kind::ConfigMap, &self.system_namespace);
        maps.find_map(|(_, object)| {
            let map = object.config_map()?;
            let labels = &map.metadata.labels;
            labels.is(DEFAULTS_FOR_CLASS, class).then_some(map)
        })
    }

    /// Whether a namespace gets the roots.
    pub(super) fn wants_roots(&self, namespace: &str) -> bool {
        let space = self.get(&Key::new(Kind::Namespace, "", namespace));
        let is_there = space.is_some_and(|it| !it.metadata().is_being_deleted());
        let mut gateways = self.gateways_of(namespace);
        let is_wanted = is_there || gateways.any(|it| self.is_ours(it));
        is_wanted && !WITHOUT_ROOTS.contains(&namespace)
    }

    /// The pods that are a Gateway's waypoint now.
    pub(super) fn pods(&self, namespace: &str, gateway: &str) -> impl Iterator<Item = &Pod> {
        let pods = self.of_namespace(Kind::Pod, namespace);
        let pods = pods.filter_map(|(_, object)| object.pod());
        pods.filter(move |pod| {
            pod.metadata.labels.is(GATEWAY_NAME, gateway)
                && !pod.has_ended()
                && !pod.metadata.is_being_deleted()
        })
    }

    /// What was made for a Gateway, whether that is still there or not.
    pub(super) fn made_for(&self, namespace: &str, gateway: &str) -> impl Iterator<Item = &Key> {
        let kinds = super::parts::KINDS.iter();
        let made = kinds.flat_map(move |kind| self.of_namespace(*kind, namespace));
        let made = made.filter(move |(_, object)| {
            let labels = &object.metadata().labels;
            labels.is(GATEWAY_NAME, gateway) && labels.is(MANAGED, MANAGED_BY)
        });
        made.map(|(key, _)| key)
    }

    /// The network that pods are in, as the system namespace says.
    pub(super) fn network(&self) -> &str {
        let space = self.get(&Key::new(Kind::Namespace, "", &self.system_namespace));
        let network = space.and_then(|it| it.metadata().labels.get("topology.istio.io/network"));
        network.unwrap_or_default()
    }

    fn gateways_of(&self, namespace: &str) -> impl Iterator<Item = &Gateway> {
        let gateways = self.of_namespace(Kind::Gateway, namespace);
        gateways.filter_map(|(_, object)| object.gateway())
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        let from = Key {
            kind,
            namespace: String::new(),
            name: String::new(),
        };
        let objects = self.objects.range(from..);
        objects.take_while(move |(key, _)| key.kind == kind)
    }

    fn of_namespace(
        &self,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        let from = Key {
            kind,
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let objects = self.objects.range(from..);
        objects.take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
    }
}

/// Whose part an object is, by its labels.
fn made_for(key: &Key, object: &Object) -> Option<Subject> {
    let labels = &object.metadata().labels;
    let name = labels.get(GATEWAY_NAME)?;
    let is_ours = labels.is(MANAGED, MANAGED_BY);
    is_ours.then(|| waypoint(&key.namespace, name))
}

fn waypoint(namespace: &str, name: &str) -> Subject {
    Subject::Waypoint(namespace.to_owned(), name.to_owned())
}

fn subject_of(gateway: &Gateway) -> Subject {
    waypoint(&gateway.metadata.namespace, &gateway.metadata.name)
}
