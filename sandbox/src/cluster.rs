//! The cluster as the sandbox sees it: a picture of all objects that follows the directory, and one way to write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use objects::change::{Batch, Problem};
use objects::kinds::{Key, Kind};
use objects::kubernetes::{Pod, Service};
use objects::object::Object;
use objects::sink::{self, Sink};
use objects::watch::Source;
use serde_json::Value;
use tokio::sync::watch;

/// All objects at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    objects: BTreeMap<Key, Arc<Object>>,
    problems: BTreeSet<Problem>,
}

impl View {
    /// The object of this key.
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// All objects of a kind, sorted by namespace and name.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.objects
            .iter()
            .filter(move |(key, _)| key.kind == kind)
            .map(|(_, object)| object)
    }

    /// All pods.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.of(Kind::Pod).filter_map(|object| object.pod())
    }

    /// All services.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.of(Kind::Service).filter_map(|object| object.service())
    }

    /// One pod.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<&Pod> {
        self.get(&Key::new(Kind::Pod, namespace, name))?.pod()
    }

    /// What is wrong in the documents now.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter()
    }

    /// The picture after a batch.
    pub(crate) fn take(&mut self, batch: Batch) {
        for change in batch.changes {
            match change.object {
                Some(object) => self.objects.insert(change.key, object),
                None => self.objects.remove(&change.key),
            };
        }
        for problem in &batch.resolved {
            self.problems.remove(problem);
        }
        self.problems.extend(batch.problems);
    }
}

#[cfg(test)]
impl View {
    /// Puts a document into the picture as a source would, for tests of plans.
    pub(crate) fn see(&mut self, document: Value) {
        let document = objects::raw::Document::without_lines(document);
        let key = objects::object::identify(&document).unwrap();
        let file = std::path::Path::new("test").into();
        let parts = objects::object::Parts::new(file, Arc::new(document.pack()));
        let object = Some(Arc::new(Object::read(key.clone(), parts, 0).unwrap()));
        self.take(Batch {
            changes: vec![objects::change::Change { key, object }],
            ..Batch::default()
        });
    }
}

/// The picture and the pen.
#[derive(Clone)]
pub(crate) struct Cluster {
    view: watch::Receiver<Arc<View>>,
    sink: Arc<dyn Sink>,
}

impl Cluster {
    /// Follows `source` for as long as the returned task lives.
    pub(crate) fn follow(
        mut source: impl Source + 'static,
        sink: Arc<dyn Sink>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, view) = watch::channel(Arc::new(View::default()));
        let follow = async move {
            loop {
                match source.next().await {
                    Ok(batch) => sender.send_modify(|view| Arc::make_mut(view).take(batch)),
                    Err(error) => {
                        let error = mesh::telemetry::report(&error);
                        tracing::error!(%error, "the cluster's directory cannot be followed any more");
                        return;
                    }
                }
            }
        };
        (Self { view, sink }, follow)
    }

    /// The picture now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// The picture, and to be told of the next.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Waits until `answer` has something to say about the picture.
    pub(crate) async fn until<T>(&self, mut answer: impl FnMut(&View) -> Option<T>) -> Option<T> {
        let mut views = self.watch();
        loop {
            let view = views.borrow_and_update().clone();
            if let Some(answer) = answer(&view) {
                return Some(answer);
            }
            views.changed().await.ok()?;
        }
    }

    /// A pen for one manager.
    pub(crate) fn writer(&self, manager: &'static str) -> Writer {
        Writer {
            manager,
            sink: self.sink.clone(),
            written: Wanted::new(),
        }
    }
}

/// Everything a manager wants written, by object.
pub(crate) type Wanted = BTreeMap<Key, Words>;

/// What a manager says about one object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Words {
    /// The object exists because of us; a whole document.
    Apply(Value),
    /// Fields over an object of somebody else, which has this uid.
    Patch {
        /// Of that very object.
        uid: String,
        /// The fields.
        fields: Value,
    },
}

/// One manager's pen: brings what is written in line with what is wanted.
pub(crate) struct Writer {
    manager: &'static str,
    sink: Arc<dyn Sink>,
    written: Wanted,
}

impl Writer {
    /// What was written last.
    pub(crate) fn written(&self) -> &Wanted {
        &self.written
    }

    /// Writes what differs, takes back what is not wanted any more. What fails is logged and tried next time.
    pub(crate) async fn settle(&mut self, wanted: Wanted) {
        let gone: Vec<Key> = self
            .written
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .cloned()
            .collect();
        for key in gone {
            self.take_back(&key).await;
        }
        for (key, words) in wanted {
            self.say(key, words).await;
        }
    }

    /// Says something about one object; nothing when it was said already.
    pub(crate) async fn say(&mut self, key: Key, words: Words) {
        if self.written.get(&key) == Some(&words) {
            return;
        }
        let outcome = match &words {
            Words::Apply(document) => self.sink.apply(self.manager, document.clone()).await,
            Words::Patch { uid, fields } => {
                self.sink
                    .patch(self.manager, &key, Some(uid), fields.clone())
                    .await
            }
        };
        if self.report(&key, outcome) {
            self.written.insert(key, words);
        }
    }

    /// Takes back what was said about an object.
    pub(crate) async fn take_back(&mut self, key: &Key) {
        let outcome = self.sink.remove(self.manager, key).await;
        if self.report(key, outcome) {
            self.written.remove(key);
        }
    }

    fn report(&self, key: &Key, outcome: Result<(), sink::Error>) -> bool {
        if let Err(error) = &outcome {
            let error = mesh::telemetry::report(error);
            tracing::warn!(manager = self.manager, %key, %error, "cannot write");
        }
        outcome.is_ok()
    }
}
