//! A directory of its own for every test, and a view that remembers what its source said.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use objects::change::{Batch, Key, Kind, Problem};
use objects::kubernetes::Pod;
use objects::object::Object;
use objects::sink::directory::DirectorySink;
use objects::watch::Source;
use objects::watch::directory::DirectorySource;

pub(crate) struct World {
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&mut self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn watch(&self) -> View {
        View {
            source: DirectorySource::open(self.root()).unwrap(),
            objects: HashMap::new(),
            seen: HashMap::new(),
            problems: BTreeSet::new(),
            vanished: 0,
        }
    }

    pub(crate) fn sink(&self) -> DirectorySink {
        DirectorySink::new(self.root())
    }
}

pub(crate) struct View {
    pub(crate) source: DirectorySource,
    objects: HashMap<Key, Arc<Object>>,
    seen: HashMap<Key, usize>,
    pub(crate) problems: BTreeSet<Problem>,
    /// How many deletions were said.
    pub(crate) vanished: usize,
}

impl View {
    /// The next batch.
    pub(crate) async fn step(&mut self) -> Batch {
        let next = tokio::time::timeout(Duration::from_secs(20), self.source.next());
        let batch = next.await.expect("a batch within 20 s").unwrap();
        self.take(batch)
    }

    /// Remembers what a batch says.
    pub(crate) fn take(&mut self, batch: Batch) -> Batch {
        for change in &batch.changes {
            *self.seen.entry(change.key.clone()).or_default() += 1;
            match &change.object {
                Some(object) => drop(self.objects.insert(change.key.clone(), object.clone())),
                None => {
                    self.vanished += 1;
                    assert!(
                        self.objects.remove(&change.key).is_some(),
                        "gone twice: {}",
                        change.key
                    );
                }
            }
        }
        for problem in &batch.resolved {
            assert!(
                self.problems.remove(problem),
                "resolved but never said: {problem}"
            );
        }
        self.problems.extend(batch.problems.iter().cloned());
        batch
    }

    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&View) -> bool) {
        let all = async {
            while !is_so(self) {
                self.step().await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(20), all).await;
        assert!(
            outcome.is_ok(),
            "waited 20 s in vain: {what}; problems: {:?}",
            self.problems
        );
    }

    pub(crate) fn has(&self, key: &Key) -> bool {
        self.objects.contains_key(key)
    }

    pub(crate) fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// A pod of the namespace `default`.
    pub(crate) fn pod(&self, name: &str) -> Option<&Pod> {
        self.object(&pod_key(name))?.pod()
    }

    /// How often the object was said.
    pub(crate) fn seen(&self, key: &Key) -> usize {
        self.seen.get(key).copied().unwrap_or(0)
    }

    pub(crate) fn value(&self, key: &Key) -> Option<&str> {
        self.objects.get(key).map(|object| value_of(object))
    }
}

pub(crate) fn value_of(object: &Object) -> &str {
    &object.config_map().unwrap().data["value"]
}

pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: '{value}'\n"
    )
}

pub(crate) fn pod(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels:\n    app: web\n\
         spec:\n  serviceAccountName: web\n  containers:\n  - name: main\n    image: weft.dev/echo\n    \
         ports:\n    - name: http\n      containerPort: 8080\n    readinessProbe:\n      \
         httpGet:\n        port: http\n        path: /ready\n      periodSeconds: 5\n"
    )
}

pub(crate) fn pod_key(name: &str) -> Key {
    Key::new(Kind::Pod, "default", name)
}

pub(crate) fn map_key(name: &str) -> Key {
    Key::new(Kind::ConfigMap, "default", name)
}
