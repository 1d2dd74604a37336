//! A reader of the source that keeps what it was told, as the controller does, and notices what must not be said.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::api_server::ApiServer;
use objects::api::{Access, Api};
use objects::change::{Batch, Key, Problem};
use objects::watch::Source;
use objects::watch::api_server::{ApiServerSource, Watched};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Follower {
    source: ApiServerSource,
    /// Every object that is known, with its resource version.
    pub(crate) known: BTreeMap<Key, String>,
    pub(crate) problems: Vec<Problem>,
    /// How many changes were said.
    pub(crate) changes: usize,
}

pub(crate) async fn api(server: &ApiServer) -> Api {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("config");
    server.kubeconfig(&file).unwrap();
    Api::open(&Access::Kubeconfig(file)).await.unwrap()
}

impl Follower {
    pub(crate) async fn new(server: &ApiServer, watched: Vec<Watched>) -> Follower {
        let source = ApiServerSource::open(&api(server).await, watched);
        Follower {
            source,
            known: BTreeMap::new(),
            problems: Vec::new(),
            changes: 0,
        }
    }

    /// The next batch, taken in.
    pub(crate) async fn next(&mut self) -> Batch {
        let batch = tokio::time::timeout(DEADLINE, self.source.next()).await;
        let batch = batch.unwrap().unwrap();
        assert!(batch.synced, "the first batch is whole, and so are all");
        for change in &batch.changes {
            self.changes += 1;
            let key = change.key.clone();
            match &change.object {
                Some(object) => {
                    let version = object.metadata().resource_version.clone();
                    let number = |text: &str| text.parse::<u64>().unwrap();
                    if let Some(before) = self.known.insert(key, version.clone()) {
                        let (old, new) = (number(&before), number(&version));
                        assert!(old < new, "{}: {old} then {new}", change.key);
                    }
                }
                None => assert!(self.known.remove(&key).is_some(), "{key} went twice"),
            }
        }
        self.problems.retain(|it| !batch.resolved.contains(it));
        self.problems.extend(batch.problems.iter().cloned());
        batch
    }

    /// Reads until what is known is what the server has.
    pub(crate) async fn agree(&mut self, server: &ApiServer, resources: &[&str]) {
        let agreed = tokio::time::timeout(DEADLINE, async {
            while self.known != truth(server, resources) {
                self.next().await;
            }
        });
        if agreed.await.is_err() {
            panic!("{:?} is not {:?}", self.known, truth(server, resources));
        }
    }
}

/// What the server has, in the follower's words.
fn truth(server: &ApiServer, resources: &[&str]) -> BTreeMap<Key, String> {
    let mut all = BTreeMap::new();
    for resource in resources {
        let kind = objects::kinds::Kind::from_resource(resource).unwrap();
        for object in server.all(resource) {
            let text = |key: &str| {
                let found = object.pointer(&format!("/metadata/{key}"));
                found.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            all.insert(
                Key::new(kind, &text("namespace"), &text("name")),
                text("resourceVersion"),
            );
        }
    }
    all
}

pub(crate) fn pod(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": label}},
        "spec": {"nodeName": "a"}, "status": {"podIP": "10.0.0.1"}})
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}
