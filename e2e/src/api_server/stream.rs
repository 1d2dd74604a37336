//! Watches, and lists as streams. Source: Kubernetes API concepts, "Efficient detection of changes", "Watch bookmarks",
//! "Streaming lists".

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

use super::list::{Field, metadata};
use super::path::Target;
use super::serve::Refused;
use super::store::{Happening, Resource};
use super::{Blow, World};

/// What a watch was asked for.
pub(super) struct Watch {
    world: Arc<World>,
    facts: Resource,
    target: Target,
    at: u64,
    initial: bool,
    bookmarks: bool,
    metadata_only: bool,
    field: Field,
    ends: Instant,
    before: Option<Happening>,
    out: mpsc::Sender<io::Result<Frame<Bytes>>>,
    blows: broadcast::Receiver<Blow>,
}

/// The client is gone, or the watch was struck.
struct Over;

impl Watch {
    /// Reads the query.
    pub(super) fn new(
        world: &Arc<World>,
        facts: Resource,
        target: Target,
        query: &BTreeMap<String, String>,
        metadata_only: bool,
        out: mpsc::Sender<io::Result<Frame<Bytes>>>,
    ) -> Result<Watch, Refused> {
        let is = |key: &str| query.get(key).is_some_and(|it| it == "true" || it == "1");
        let initial = is("sendInitialEvents");
        let is_well_asked = query
            .get("resourceVersionMatch")
            .is_some_and(|it| it == "NotOlderThan");
        if initial && (!world.settings.streaming_lists || !is_well_asked) {
            let message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Refused::status(422, "Invalid", message));
        }
        let store = world.store();
        let since = query
            .get("resourceVersion")
            .and_then(|it| it.parse().ok())
            .filter(|it| *it > 0);
        let at = match (initial, since) {
            (true, _) | (_, None) => store.version(),
            (false, Some(since)) => since,
        };
        if at < store.compacted() {
            let message = format!("too old resource version: {at} ({})", store.compacted());
            return Err(Refused::status(410, "Expired", &message));
        }
        let seconds = query.get("timeoutSeconds").and_then(|it| it.parse().ok());
        let lasts = Duration::from_secs(seconds.unwrap_or(1800));
        drop(store);
        Ok(Watch {
            blows: world.blows.subscribe(),
            world: world.clone(),
            facts,
            target,
            at,
            initial,
            bookmarks: is("allowWatchBookmarks"),
            metadata_only,
            field: Field::of(query),
            ends: Instant::now() + lasts,
            before: None,
            out,
        })
    }

    /// Says what there is to say, until the time is over or the client is gone.
    pub(super) async fn run(mut self) {
        let _ = self.speak().await;
    }

    async fn speak(&mut self) -> Result<(), Over> {
        let mut version = self.world.version.subscribe();
        if self.initial {
            self.begin().await?;
        }
        let every = self.world.settings.bookmarks;
        let mut bookmark = Instant::now() + every;
        loop {
            version.borrow_and_update();
            self.events().await?;
            tokio::select! {
                changed = version.changed() => changed.map_err(|_| Over)?,
                () = sleep_until(bookmark), if self.bookmarks => {
                    bookmark += every;
                    self.bookmark(false).await?;
                }
                () = sleep_until(self.ends) => return Ok(()),
                () = self.out.closed() => return Err(Over),
                blow = self.blows.recv() => self.strike(blow.unwrap_or(Blow::Drop)).await?,
            }
        }
    }

    /// Everything that is there, and the bookmark that ends it.
    async fn begin(&mut self) -> Result<(), Over> {
        let (all, at) = {
            let store = self.world.store();
            let all = store.all(&self.facts.name(), self.target.namespace.as_deref());
            (all, store.version())
        };
        self.at = at;
        for object in all
            .iter()
            .filter(|it| self.field.holds(it))
            .cloned()
            .collect::<Vec<_>>()
        {
            self.say("ADDED", &object).await?;
        }
        self.bookmark(true).await
    }

    async fn events(&mut self) -> Result<(), Over> {
        let (twice, late) = {
            let mischief = self.world.mischief();
            if mischief.only_bookmarks {
                return Ok(());
            }
            (mischief.twice, mischief.late)
        };
        let (happened, version) = {
            let store = self.world.store();
            (store.since(&self.facts.name(), self.at), store.version())
        };
        for happening in happened {
            let namespace = happening.object.pointer("/metadata/namespace");
            let wanted = self.target.namespace.as_deref();
            if wanted.is_some_and(|it| namespace.is_none_or(|of| of != it)) {
                continue;
            }
            // What comes to have the field is said to have changed, which means the same to a reader of this source.
            if !self.field.holds(&happening.object) {
                continue;
            }
            self.say(happening.word, &happening.object).await?;
            if twice {
                self.say(happening.word, &happening.object).await?;
            }
            if let Some(before) = self.before.replace(happening).filter(|_| late) {
                self.say(before.word, &before.object).await?;
            }
        }
        self.at = version;
        Ok(())
    }

    async fn bookmark(&mut self, is_end: bool) -> Result<(), Over> {
        let mut of = json!({"resourceVersion": self.at.to_string(), "creationTimestamp": null});
        if is_end {
            let end = json!({"k8s.io/initial-events-end": "true"});
            super::store::set(&mut of, "annotations", end);
        }
        let version = self.facts.api_version(&self.target.version);
        let object = json!({"kind": self.facts.kind, "apiVersion": version, "metadata": of});
        self.line(&json!({"type": "BOOKMARK", "object": object}))
            .await
    }

    async fn say(&mut self, word: &str, object: &Value) -> Result<(), Over> {
        let object = match self.metadata_only {
            true => metadata(object),
            false => object.clone(),
        };
        self.line(&json!({"type": word, "object": object})).await
    }

    async fn line(&mut self, event: &Value) -> Result<(), Over> {
        self.bytes(format!("{event}\n")).await
    }

    async fn bytes(&mut self, text: String) -> Result<(), Over> {
        let frame = Frame::data(Bytes::from(text));
        self.out.send(Ok(frame)).await.map_err(|_| Over)
    }

    async fn strike(&mut self, blow: Blow) -> Result<(), Over> {
        match blow {
            Blow::End => {}
            Blow::Drop => drop(
                self.out
                    .send(Err(io::ErrorKind::ConnectionReset.into()))
                    .await,
            ),
            Blow::Cut => {
                self.bytes("{\"type\":\"ADDED\",\"obj".to_owned()).await?;
            }
            Blow::Expire => {
                let status =
                    Refused::status(410, "Expired", "too old resource version: 1 (2)").body();
                self.line(&json!({"type": "ERROR", "object": status}))
                    .await?;
            }
        }
        Err(Over)
    }
}
