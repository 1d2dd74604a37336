//! One kind is followed: what `follow` says next is asked, what is heard goes through `known` and to the source.

use std::time::Duration;

use bytes::BytesMut;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::follow::{Effect, Follow, Heard, Step};
use super::known::Known;
use super::read::{name, read};
use super::{Said, Watched};
use crate::api::{Api, Call, Refusal, address};
use crate::change::Batch;
use crate::kinds::Kind;

/// Objects per page of a list.
const PAGE: &str = "500";
/// How long a watch is asked to last, at least; up to half as long again, so that not all end together.
const WATCH: Duration = Duration::from_secs(240);
/// How much longer than asked a watch may last before its connection counts as dead.
const GRACE: Duration = Duration::from_secs(30);
/// How long a streamed list may say nothing before it counts as not understood.
const SILENCE: Duration = Duration::from_secs(20);
/// Events of a stream that are handed on together when they are there.
const TOGETHER: usize = 500;
/// Asks for metadata alone. Source: Kubernetes API concepts, "Metadata-only fetches".
const METADATA: [&str; 2] = [
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
];

pub(super) struct Task {
    pub(super) api: Api,
    pub(super) watched: Watched,
    pub(super) said: mpsc::Sender<Said>,
    follow: Follow,
    known: Known,
    batch: Batch,
    is_whole: bool,
}

/// Nobody listens any more.
struct Unheard;

impl Task {
    pub(super) fn new(api: Api, watched: Watched, said: mpsc::Sender<Said>) -> Task {
        Task {
            follow: Follow::new(watched.kind.facts()),
            api,
            watched,
            said,
            known: Known::default(),
            batch: Batch::default(),
            is_whole: false,
        }
    }

    /// Follows the kind for as long as somebody listens.
    pub(super) async fn run(mut self) {
        loop {
            let done = match self.follow.step() {
                Step::Wait(pause) => {
                    tokio::time::sleep(pause).await;
                    Ok(())
                }
                Step::Seek(version) => self.seek(version).await,
                Step::List { version, more } => self.list(version, more).await,
                Step::Stream { version } => self.stream(version, None).await,
                Step::Watch { version, since } => self.stream(version, Some(since)).await,
            };
            if let Err(Unheard) = done {
                return;
            }
        }
    }

    async fn seek(&mut self, version: &str) -> Result<(), Unheard> {
        let path = address::version(self.watched.kind, version);
        match self.api.call(Call::get(path)).await {
            Ok(list) => {
                let plural = self.watched.kind.facts().plural;
                let resources = list.get("resources").and_then(Value::as_array);
                let mut resources = resources.into_iter().flatten();
                let is_served = resources.any(|it| it.get("name").is_some_and(|it| it == plural));
                self.hear(&Heard::Served(is_served)).await
            }
            Err(refusal) => self.hear_refusal(&refusal).await,
        }
    }

    async fn list(&mut self, version: &str, more: Option<String>) -> Result<(), Unheard> {
        if more.is_none() {
            self.known.begin();
        }
        let path = address::collection(self.watched.kind, version, self.watched.namespace());
        let mut query = vec![("limit", PAGE)];
        if let Some(more) = &more {
            query.push(("continue", more));
        }
        query.extend(self.field());
        let mut call = Call::get(address::with(&path, &query));
        if self.watched.metadata_only {
            call.accept = METADATA[0];
        }
        let mut page = match self.api.call(call).await {
            Ok(page) => page,
            Err(refusal) => return self.hear_refusal(&refusal).await,
        };
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            for item in items {
                self.put(version, item);
            }
        }
        let text = |key: &str| {
            let metadata = page.get("metadata");
            metadata
                .and_then(|it| it.get(key)?.as_str())
                .unwrap_or_default()
        };
        let more = Some(text("continue").to_owned()).filter(|it| !it.is_empty());
        let as_of = text("resourceVersion");
        self.hear(&Heard::Page { as_of, more }).await
    }

    /// Asks for a stream, from a version on or from everything on, and stays until it ends.
    async fn stream(&mut self, version: &str, since: Option<String>) -> Result<(), Unheard> {
        let lasts = WATCH.mul_f64(1.0 + chance() / 2.0);
        let call = self.stream_call(version, since.as_deref(), lasts);
        if since.is_none() {
            self.known.begin();
        }
        let begun = Instant::now();
        let mut lines = match self.api.stream(call).await {
            Ok(lines) => lines,
            Err(refusal) => return self.hear_refusal(&refusal).await,
        };
        let mut is_list = since.is_none();
        loop {
            let patience = if is_list {
                Instant::now() + SILENCE
            } else {
                begun + lasts + GRACE
            };
            let now = if !self.has_news() {
                patience
            } else {
                Instant::now()
            };
            let line = match timeout_at(now, lines.next()).await {
                Ok(line) => line,
                // Nothing more is there at once: what is known goes out.
                Err(_) if self.has_news() => {
                    self.flush().await?;
                    continue;
                }
                Err(_) if is_list => return self.hear(&Heard::Silent).await,
                Err(_) => return self.hear(&Heard::Ended(Duration::ZERO)).await,
            };
            let heard = match line {
                Ok(Some(line)) => self.line(version, &line, &mut is_list),
                Ok(None) => {
                    self.flush().await?;
                    return self.hear(&Heard::Ended(begun.elapsed())).await;
                }
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = heard {
                self.flush().await?;
                return self.hear_refusal(&refusal).await;
            }
            if self.batch.changes.len() >= TOGETHER {
                self.flush().await?;
            }
        }
    }

    fn stream_call(&self, version: &str, since: Option<&str>, lasts: Duration) -> Call {
        let path = address::collection(self.watched.kind, version, self.watched.namespace());
        let lasts = lasts.as_secs().to_string();
        let mut query = vec![
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", lasts.as_str()),
        ];
        match since {
            Some(since) => query.push(("resourceVersion", since)),
            None => {
                query.push(("sendInitialEvents", "true"));
                query.push(("resourceVersionMatch", "NotOlderThan"));
            }
        }
        query.extend(self.field());
        let mut call = Call::get(address::with(&path, &query));
        if self.watched.metadata_only {
            call.accept = METADATA[1];
        }
        call
    }

    fn field(&self) -> Option<(&str, &str)> {
        let field = self.watched.field.as_deref()?;
        Some(("fieldSelector", field))
    }

    /// One event of a stream.
    fn line(&mut self, version: &str, line: &BytesMut, is_list: &mut bool) -> Result<(), Refusal> {
        let path = self.watched.kind.resource();
        let event: Result<Value, _> = serde_json::from_slice(line);
        let mut event = event
            .map_err(|error| Refusal::silent(&path, format!("an event is not JSON: {error}")))?;
        let object = event.get_mut("object").map(Value::take).unwrap_or_default();
        let word = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let as_of = object.pointer("/metadata/resourceVersion");
        let as_of = as_of.and_then(Value::as_str).unwrap_or_default().to_owned();
        let heard = match word {
            "ADDED" | "MODIFIED" | "DELETED" => Heard::Event {
                is_deletion: word == "DELETED",
                as_of: &as_of,
            },
            "BOOKMARK" => {
                let end = object.pointer("/metadata/annotations/k8s.io~1initial-events-end");
                Heard::Bookmark {
                    as_of: &as_of,
                    is_end: end.is_some_and(|it| it == "true"),
                }
            }
            "ERROR" => return Err(Refusal::of_status(&path, &object)),
            _ => return Ok(()),
        };
        match self.follow.heard(&heard, chance()) {
            Effect::Put => self.put(version, object),
            Effect::Remove => {
                if let Some(key) = name(self.watched.kind, &object) {
                    self.known.remove(key, &mut self.batch);
                }
            }
            Effect::Whole => {
                *is_list = false;
                self.whole();
            }
            Effect::None | Effect::Nothing => {}
        }
        Ok(())
    }

    fn put(&mut self, version: &str, item: Value) {
        let kind: Kind = self.watched.kind;
        match read(kind, version, item) {
            Some(reading) => self.known.put(reading, &mut self.batch),
            None => tracing::warn!(%kind, "the API server names no object in an item"),
        }
    }

    fn whole(&mut self) {
        self.known.end(&mut self.batch);
        if !self.is_whole {
            self.is_whole = true;
            // Also when it is empty: somebody waits for it.
            self.batch.synced = true;
        }
    }

    async fn hear_refusal(&mut self, refusal: &Refusal) -> Result<(), Unheard> {
        let heard = self.hear(&Heard::Refused(refusal)).await;
        // Every failure is worth a line in the log, a thousand of the same are not.
        if self.follow.failures().is_power_of_two() {
            tracing::warn!(kind = %self.watched.kind, %refusal, "cannot follow, trying again");
        }
        heard
    }

    async fn hear(&mut self, heard: &Heard<'_>) -> Result<(), Unheard> {
        match self.follow.heard(heard, chance()) {
            Effect::Whole => self.whole(),
            Effect::Nothing => {
                self.known.clear(&mut self.batch);
                self.whole();
            }
            Effect::None | Effect::Put | Effect::Remove => {}
        }
        self.flush().await
    }

    fn has_news(&self) -> bool {
        !self.batch.is_empty() || self.batch.synced
    }

    async fn flush(&mut self) -> Result<(), Unheard> {
        if !self.has_news() {
            return Ok(());
        }
        let said = Said {
            kind: self.watched.kind,
            batch: std::mem::take(&mut self.batch),
        };
        self.said.send(said).await.map_err(|_| Unheard)
    }
}

fn chance() -> f64 {
    rand::random()
}
