//! What is written, and what is not: against a sink that remembers, and one that fails at first.

use std::sync::atomic::{AtomicU32, Ordering};

use objects::kinds::Kind;
use objects::sink::Written;
use serde_json::{Value, json};

use super::*;
use crate::translate::status::Condition;

#[derive(Debug, Default)]
struct Memory {
    calls: Mutex<Vec<Value>>,
    /// How many calls fail before one succeeds.
    failures: AtomicU32,
}

impl Memory {
    fn note(&self, call: Value) -> Result<(), Error> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(Error::Manager {
                manager: "broken".to_owned(),
            });
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }

    fn calls(&self) -> Vec<Value> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl Sink for Memory {
    fn apply<'a>(&'a self, _: &'a str, _: Value) -> Written<'a> {
        unreachable!("statuses are patches")
    }

    fn patch<'a>(
        &'a self,
        manager: &'a str,
        key: &'a Key,
        uid: Option<&'a str>,
        mut fields: Value,
    ) -> Written<'a> {
        let time = fields.pointer_mut("/status/conditions/0/lastTransitionTime");
        let has_time =
            time.is_some_and(|time| time.take().as_str().is_some_and(|it| it.ends_with('Z')));
        let call = json!({
            "manager": manager, "key": key.to_string(), "uid": uid, "time": has_time,
            "reason": fields.pointer("/status/conditions/0/reason"),
        });
        let outcome = self.note(call);
        Box::pin(std::future::ready(outcome))
    }

    fn remove<'a>(&'a self, manager: &'a str, key: &'a Key) -> Written<'a> {
        let outcome = self.note(json!({"manager": manager, "removed": key.to_string()}));
        Box::pin(std::future::ready(outcome))
    }
}

fn wish(uid: &str, reason: Option<&'static str>) -> Wish {
    let conditions = reason.map(|reason| Condition {
        kind: "Accepted",
        holds: true,
        reason,
        message: "so".to_owned(),
    });
    Wish {
        key: Key::new(Kind::Service, "shop", "web"),
        uid: uid.to_owned(),
        generation: 1,
        status: Status {
            conditions: conditions.into_iter().collect(),
            ..Status::default()
        },
        present: Vec::new(),
        present_entries: Vec::new(),
    }
}

fn said(uid: &str, reason: &str) -> Value {
    json!({
        "manager": MANAGER, "key": "Service shop/web", "uid": uid, "time": true, "reason": reason,
    })
}

/// The calls that each of some wishes leads to.
async fn calls(wishes: Vec<Wish>) -> Vec<Vec<Value>> {
    let (memory, statuses) = (Arc::new(Memory::default()), Statuses::default());
    let mut writer = Writer::new(Arc::clone(&memory) as Arc<dyn Sink>, statuses.clone());
    let mut calls = Vec::new();
    for wish in wishes {
        statuses.wish(vec![wish]);
        assert!(writer.round().await);
        calls.push(memory.calls());
    }
    calls
}

#[tokio::test]
async fn writes_what_is_news_and_nothing_twice() {
    let wishes = vec![
        wish("one", Some("First")),
        wish("one", Some("First")),
        wish("one", Some("Second")),
        // Another object of the same name has not been told anything.
        wish("two", Some("Second")),
        wish("two", None),
        wish("two", None),
    ];
    let removed = json!({"manager": MANAGER, "removed": "Service shop/web"});
    let expected = [
        vec![said("one", "First")],
        vec![],
        vec![said("one", "Second")],
        vec![said("two", "Second")],
        vec![removed],
        vec![],
    ];
    assert_eq!(calls(wishes).await, expected);
}

#[tokio::test]
async fn of_several_wishes_about_one_object_the_latest_counts() {
    let (memory, statuses) = (Arc::new(Memory::default()), Statuses::default());
    let mut writer = Writer::new(Arc::clone(&memory) as Arc<dyn Sink>, statuses.clone());
    statuses.wish(vec![wish("one", Some("First"))]);
    statuses.wish(vec![wish("one", Some("Second"))]);
    assert!(writer.round().await);
    assert_eq!(memory.calls(), [said("one", "Second")]);
}

#[tokio::test]
async fn what_could_not_be_written_waits_unless_there_is_newer_news() {
    let (memory, statuses) = (Arc::new(Memory::default()), Statuses::default());
    let mut writer = Writer::new(Arc::clone(&memory) as Arc<dyn Sink>, statuses.clone());
    memory.failures.store(2, Ordering::Relaxed);
    statuses.wish(vec![wish("one", Some("First"))]);
    assert!(!writer.round().await);
    assert!(!writer.round().await, "it was kept, and failed again");
    statuses.wish(vec![wish("one", Some("Second"))]);
    assert!(writer.round().await);
    assert_eq!(memory.calls(), [said("one", "Second")]);
}
