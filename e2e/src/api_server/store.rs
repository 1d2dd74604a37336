//! Pure. Objects, the version of each, and what happened to them in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use objects::kinds::Kind;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a resource is called and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) versions: &'static [&'static str],
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

/// Resources that Weft writes and does not read.
const FURTHER: &[Resource] = &[
    Resource {
        group: "coordination.k8s.io",
        versions: &["v1"],
        plural: "leases",
        kind: "Lease",
        namespaced: true,
    },
    Resource {
        group: "",
        versions: &["v1"],
        plural: "events",
        kind: "Event",
        namespaced: true,
    },
];
/// How many happenings are remembered.
const MEMORY: usize = 100_000;

/// Namespace (empty when there is none) and name.
pub(super) type Name = (String, String);

/// What happened to an object.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) version: u64,
    pub(super) resource: String,
    pub(super) word: &'static str,
    pub(super) object: Arc<Value>,
}

#[derive(Debug)]
pub(super) struct Store {
    version: u64,
    /// What happened up to here is forgotten.
    compacted: u64,
    uids: u64,
    resources: BTreeMap<String, Resource>,
    hidden: BTreeSet<String>,
    objects: BTreeMap<String, BTreeMap<Name, Arc<Value>>>,
    happened: VecDeque<Happening>,
}

impl Default for Store {
    fn default() -> Self {
        let read = Kind::ALL.iter().map(|kind| {
            let facts = kind.facts();
            Resource {
                group: facts.group,
                versions: facts.versions,
                plural: facts.plural,
                kind: facts.word,
                namespaced: facts.namespaced,
            }
        });
        let resources = read.chain(FURTHER.iter().cloned());
        let resources = resources.map(|it| (it.name(), it)).collect();
        Store {
            version: 1000,
            compacted: 0,
            uids: 0,
            resources,
            hidden: BTreeSet::new(),
            objects: BTreeMap::new(),
            happened: VecDeque::new(),
        }
    }
}

impl Resource {
    /// `plural` or `plural.group`.
    pub(super) fn name(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    pub(super) fn api_version(&self, version: &str) -> String {
        match self.group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.happened.clear();
    }

    /// What is served, in the order of names.
    pub(super) fn resources(&self) -> impl Iterator<Item = &Resource> {
        let served = self.resources.iter();
        let served = served.filter(|(name, _)| !self.hidden.contains(*name));
        served.map(|(_, resource)| resource)
    }

    pub(super) fn resource(&self, name: &str, version: &str) -> Option<&Resource> {
        let found = self.resources().find(|it| it.name() == name)?;
        found.versions.contains(&version).then_some(found)
    }

    pub(super) fn serve(&mut self, resource: &str, is_served: bool) {
        match is_served {
            true => drop(self.hidden.remove(resource)),
            false => {
                self.hidden.insert(resource.to_owned());
                let names = self.objects.get(resource).map(|it| it.keys().cloned());
                let names: Vec<Name> = names.into_iter().flatten().collect();
                names.iter().for_each(|it| drop(self.delete(resource, it)));
            }
        }
    }

    pub(super) fn get(&self, resource: &str, name: &Name) -> Option<Arc<Value>> {
        self.objects.get(resource)?.get(name).cloned()
    }

    pub(super) fn all(&self, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let all = self.objects.get(resource).into_iter().flatten();
        let all = all.filter(|((of, _), _)| namespace.is_none_or(|it| it == of));
        all.map(|(_, object)| object.clone()).collect()
    }

    /// What happened to a resource after a version.
    pub(super) fn since(&self, resource: &str, version: u64) -> Vec<Happening> {
        let begin = self.happened.partition_point(|it| it.version <= version);
        let later = self.happened.iter().skip(begin);
        later
            .filter(|it| it.resource == resource)
            .cloned()
            .collect()
    }

    /// See [`super::ApiServer::put`].
    pub(super) fn put(&mut self, mut object: Value) -> Result<()> {
        let text = |pointer: &str| {
            let found = object.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        let (mut namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        let found = self
            .resources()
            .find(|it| it.kind == kind && it.group == group);
        let found = found.with_context(|| format!("{api_version} {kind} is not served"))?;
        if !found.versions.contains(&version) || name.is_empty() {
            bail!("{api_version} {kind} {namespace}/{name} is no object");
        }
        if !found.namespaced {
            namespace.clear();
        } else if namespace.is_empty() {
            "default".clone_into(&mut namespace);
        }
        let resource = found.name();
        let before = self.get(&resource, &(namespace.clone(), name.clone()));
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            if !namespace.is_empty() {
                metadata.insert("namespace".to_owned(), namespace.clone().into());
            }
            let fields = before
                .as_ref()
                .and_then(|it| it.pointer("/metadata/managedFields"));
            if let Some(fields) = fields {
                metadata.insert("managedFields".to_owned(), fields.clone());
            }
        }
        // Who may write everything may say these too, of what is new.
        let given = |key: &str| object.get("metadata").and_then(|it| it.get(key)).cloned();
        let given = ["uid", "creationTimestamp"].map(|key| (key, given(key)));
        self.write_new(&resource, &(namespace, name), object, &given);
        Ok(())
    }

    /// Puts an object in place; uid, times, generation and version are the store's. What changes nothing is no change.
    pub(super) fn write(&mut self, resource: &str, name: &Name, object: Value) -> Arc<Value> {
        self.write_new(resource, name, object, &[])
    }

    fn write_new(
        &mut self,
        resource: &str,
        name: &Name,
        mut object: Value,
        given: &[(&str, Option<Value>)],
    ) -> Arc<Value> {
        let before = self.get(resource, name);
        let old = |key: &str| before.as_ref()?.get("metadata")?.get(key).cloned();
        let mut stamped: Vec<(&str, Option<Value>)> = vec![
            ("uid", old("uid")),
            ("creationTimestamp", old("creationTimestamp")),
            ("generation", old("generation")),
            ("resourceVersion", old("resourceVersion")),
        ];
        if !object.get("metadata").is_some_and(Value::is_object) {
            set(&mut object, "metadata", json!({}));
        }
        if let Some(metadata) = object.get_mut("metadata") {
            for (key, value) in stamped.drain(..) {
                set(metadata, key, value.unwrap_or_default());
            }
        }
        if let Some(before) = before.as_ref().filter(|it| ***it == object) {
            return before.clone();
        }
        self.version += 1;
        let version = self.version;
        let is_new_generation = before
            .as_ref()
            .is_none_or(|it| desired(it) != desired(&object));
        if let Some(metadata) = object.get_mut("metadata") {
            if before.is_none() {
                self.uids += 1;
                let uid = format!("00000000-0000-4000-8000-{:012x}", self.uids);
                set(metadata, "uid", uid.into());
                let now = OffsetDateTime::now_utc();
                let now = now.replace_nanosecond(0).unwrap_or(now);
                let now = now.format(&Rfc3339).unwrap_or_default();
                set(metadata, "creationTimestamp", now.into());
                for (key, value) in given {
                    if let Some(value) = value {
                        set(metadata, key, value.clone());
                    }
                }
            }
            if is_new_generation {
                let generation = metadata.get("generation").and_then(Value::as_i64);
                set(metadata, "generation", (generation.unwrap_or(0) + 1).into());
            }
            set(metadata, "resourceVersion", version.to_string().into());
        }
        let object = Arc::new(object);
        let word = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let objects = self.objects.entry(resource.to_owned()).or_default();
        objects.insert(name.clone(), object.clone());
        self.note(resource, word, object.clone());
        object
    }

    pub(super) fn delete(&mut self, resource: &str, name: &Name) -> Option<Arc<Value>> {
        let mut object = (*self.objects.get_mut(resource)?.remove(name)?).clone();
        self.version += 1;
        if let Some(metadata) = object.get_mut("metadata") {
            set(metadata, "resourceVersion", self.version.to_string().into());
        }
        let object = Arc::new(object);
        self.note(resource, "DELETED", object.clone());
        Some(object)
    }

    fn note(&mut self, resource: &str, word: &'static str, object: Arc<Value>) {
        self.happened.push_back(Happening {
            version: self.version,
            resource: resource.to_owned(),
            word,
            object,
        });
        if self.happened.len() > MEMORY
            && let Some(oldest) = self.happened.pop_front()
        {
            self.compacted = oldest.version;
        }
    }
}

/// What a generation counts: everything but metadata and status.
fn desired(object: &Value) -> Map<String, Value> {
    let mut map = object.as_object().cloned().unwrap_or_default();
    map.retain(|key, _| key != "metadata" && key != "status");
    map
}

/// Sets a field of a map, or removes it with null.
pub(super) fn set(value: &mut Value, key: &str, to: Value) {
    let Value::Object(map) = value else {
        return;
    };
    match to {
        Value::Null => drop(map.shift_remove(key)),
        to => drop(map.insert(key.to_owned(), to)),
    }
}
