//! The sink of an API server: server-side apply for objects of ours, status patches for those of others.
//!
//! A status is read, blended with our words ([`blend`]) and written only when that changes it, on the very version that was
//! read: whoever wrote meanwhile is not overwritten, we read again. Many lists in statuses (`parents` of routes,
//! `conditions` of Istio's resources) are atomic for the server, so server-side apply would take others' entries
//! with it; blending keeps them whatever the schema says. Nothing is remembered between two writes.

mod blend;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{Error, Sink, Written};
use crate::api::{Api, Call, Content, Meaning, Refusal, address};
use crate::kinds::{Key, Kind};
use crate::merge::merge;
use crate::object::identify;
use crate::raw::Document;

/// How often one write is tried before its caller hears of the failure.
const TRIES: u32 = 6;
/// The first pause between two tries; doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest that the server's wish to be left alone is honoured here.
const LONGEST_WISH: Duration = Duration::from_secs(30);

/// What a manager writes into statuses: so much of what it said before is found again after a restart.
#[derive(Clone, Copy, Debug)]
pub struct Ours {
    /// The name it writes under.
    pub manager: &'static str,
    /// Types of its conditions.
    pub conditions: &'static [&'static str],
    /// Names under which it speaks in lists of `parents` and `ancestors`.
    pub controllers: &'static [&'static str],
    /// Further fields of the status of a kind.
    pub fields: &'static [(Kind, &'static str)],
}

/// Writes to an API server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiServerSink {
    api: Api,
    ours: Ours,
}

/// An object as it is now, and the version of its kind that the server serves.
struct Live {
    object: Value,
    version: &'static str,
}

impl ApiServerSink {
    /// A sink for one manager; what others apply or patch through it is written, but nothing of theirs is found again.
    #[must_use]
    pub fn new(api: Api, ours: Ours) -> ApiServerSink {
        ApiServerSink { api, ours }
    }

    async fn try_patch(
        &self,
        manager: &str,
        key: &Key,
        uid: Option<&str>,
        fields: &Value,
    ) -> Result<(), Refusal> {
        let Some(live) = self.read(key).await? else {
            return Ok(());
        };
        if uid.is_some_and(|it| text(&live.object, "/metadata/uid") != it) {
            return Ok(());
        }
        let words = fields.get("status");
        self.write_status(manager, key, &live, words).await?;
        self.write_rest(manager, key, &live, fields).await
    }

    async fn try_remove(&self, manager: &str, key: &Key) -> Result<(), Refusal> {
        let Some(live) = self.read(key).await? else {
            return Ok(());
        };
        if !blend::has_applied(&live.object, manager) {
            return self.write_status(manager, key, &live, None).await;
        }
        let uid = text(&live.object, "/metadata/uid");
        let body = json!({"kind": "DeleteOptions", "apiVersion": "v1",
            "propagationPolicy": "Background", "preconditions": {"uid": uid}});
        let path = address::object(key, live.version);
        let call = Call::send(Method::DELETE, path, Content::Object, body);
        match self.api.call(call).await {
            Err(refusal) if refusal.meaning() != Meaning::Absent => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The object in the first version of its kind that is served; `None` when there is none.
    async fn read(&self, key: &Key) -> Result<Option<Live>, Refusal> {
        for version in key.kind.facts().versions {
            match self
                .api
                .call(Call::get(address::object(key, version)))
                .await
            {
                Ok(object) => return Ok(Some(Live { object, version })),
                Err(refusal) => match refusal.meaning() {
                    Meaning::Absent => return Ok(None),
                    Meaning::Unserved => {}
                    _ => return Err(refusal),
                },
            }
        }
        Ok(None)
    }

    async fn write_status(
        &self,
        manager: &str,
        key: &Key,
        live: &Live,
        words: Option<&Value>,
    ) -> Result<(), Refusal> {
        let ours = (self.ours.manager == manager).then_some(&self.ours);
        let Some(status) = blend::status(key.kind, &live.object, manager, ours, words) else {
            return Ok(());
        };
        let seen = live.object.pointer("/metadata/resourceVersion").cloned();
        let body = json!({"metadata": {"resourceVersion": seen}, "status": status});
        let path = format!("{}/status", address::object(key, live.version));
        self.merge_patch(manager, path, body).await
    }

    /// What is beside the status, onto the object itself.
    async fn write_rest(
        &self,
        manager: &str,
        key: &Key,
        live: &Live,
        fields: &Value,
    ) -> Result<(), Refusal> {
        let mut rest = fields.clone();
        if let Value::Object(map) = &mut rest {
            map.shift_remove("status");
        }
        let mut after = live.object.clone();
        merge(&mut after, &rest);
        if after == live.object {
            return Ok(());
        }
        let path = address::object(key, live.version);
        self.merge_patch(manager, path, rest).await
    }

    async fn merge_patch(&self, manager: &str, path: String, body: Value) -> Result<(), Refusal> {
        let path = address::with(&path, &[("fieldManager", manager)]);
        let call = Call::send(Method::PATCH, path, Content::MergePatch, body);
        match self.api.call(call).await {
            // It is gone since it was read.
            Err(refusal) if refusal.meaning() != Meaning::Absent => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// How often one write was tried.
struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    const fn new() -> Patience {
        Patience {
            tries: 1,
            pause: PAUSE,
        }
    }

    /// Waits until it makes sense to try again.
    async fn wait(&mut self, refusal: Refusal) -> Result<(), Error> {
        let may_pass = matches!(refusal.meaning(), Meaning::Conflict | Meaning::Later);
        if !may_pass || self.tries == TRIES {
            return Err(Error::Refused(refusal));
        }
        let wish = refusal.retry_after.unwrap_or_default().min(LONGEST_WISH);
        let spread = 0.5 + rand::random::<f64>() / 2.0;
        tokio::time::sleep(wish + self.pause.mul_f64(spread)).await;
        (self.pause, self.tries) = (self.pause * 2, self.tries + 1);
        Ok(())
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

impl Sink for ApiServerSink {
    fn apply<'a>(&'a self, manager: &'a str, object: Value) -> Written<'a> {
        Box::pin(async move {
            let document = Document::without_lines(object);
            let key = identify(&document)?;
            let body = document.value();
            let version = text(body, "/apiVersion").rsplit('/').next();
            let query = [("fieldManager", manager), ("force", "true")];
            let path = address::object(&key, version.unwrap_or_default());
            let path = address::with(&path, &query);
            let mut patience = Patience::new();
            loop {
                let content = Content::Apply;
                let call = Call::send(Method::PATCH, path.clone(), content, body.clone());
                match self.api.call(call).await {
                    Ok(_) => return Ok(()),
                    Err(refusal) => patience.wait(refusal).await?,
                }
            }
        })
    }

    fn patch<'a>(
        &'a self,
        manager: &'a str,
        key: &'a Key,
        uid: Option<&'a str>,
        fields: Value,
    ) -> Written<'a> {
        Box::pin(async move {
            if !fields.is_object() {
                return Err(Error::NotAMap { key: key.clone() });
            }
            let mut patience = Patience::new();
            while let Err(refusal) = self.try_patch(manager, key, uid, &fields).await {
                patience.wait(refusal).await?;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, manager: &'a str, key: &'a Key) -> Written<'a> {
        Box::pin(async move {
            let mut patience = Patience::new();
            while let Err(refusal) = self.try_remove(manager, key).await {
                patience.wait(refusal).await?;
            }
            Ok(())
        })
    }
}
