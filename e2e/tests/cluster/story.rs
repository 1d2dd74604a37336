//! The story: objects come, change and go; statuses are spoken into beside others; one of two leads; a bad token opens nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use controller::ca::authenticate::Authenticator;
use controller::ca::authenticate::review::ReviewAuthenticator;
use controller::lead::Candidate;
use http::Method;
use mesh::identity::TrustDomain;
use mesh::lifecycle::{drain, task};
use objects::api::{Api, Call, Content, address};
use objects::kinds::{Key, Kind};
use objects::sink::Sink;
use objects::sink::api_server::{ApiServerSink, Ours};
use objects::watch::Source;
use objects::watch::api_server::{ApiServerSource, Watched};
use serde_json::{Value, json};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(30);
const SPACE: &str = "weft-story";
const MANAGER: &str = "weft-story";
const OURS: Ours = Ours {
    manager: MANAGER,
    conditions: &["example.com/Ours"],
    controllers: &[],
    fields: &[],
};

pub(crate) async fn tell(api: Api) -> Result<()> {
    mesh::tls::install_default();
    follow(&api).await.context("source")?;
    speak(&api).await.context("words in a status")?;
    make(&api).await.context("an object of ours")?;
    elect(&api).await.context("election")?;
    review(&api).await.context("token review")
}

async fn send(
    api: &Api,
    method: Method,
    path: String,
    content: Content,
    body: Value,
) -> Result<Value> {
    let path = address::with(&path, &[("fieldManager", "somebody")]);
    Ok(api.call(Call::send(method, path, content, body)).await?)
}

async fn create(api: &Api, kind: Kind, name: &str, more: Value) -> Result<()> {
    let space = kind.facts().namespaced.then_some(SPACE);
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.facts().word, "metadata": {"name": name}});
    objects::merge::merge(&mut object, &more);
    let path = address::collection(kind, "v1", space);
    send(api, Method::POST, path, Content::Object, object)
        .await
        .map(drop)
}

fn config_map(name: &str) -> Key {
    Key::new(Kind::ConfigMap, SPACE, name)
}

/// What a source has said: the data of every config map of ours, and names of the rest.
struct Told {
    source: ApiServerSource,
    known: BTreeMap<Key, Value>,
}

impl Told {
    async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&BTreeMap<Key, Value>) -> bool,
    ) -> Result<()> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so(&self.known) {
                for change in self.source.next().await?.changes {
                    match change.object {
                        Some(object) => self.known.insert(change.key, object.raw()),
                        None => self.known.remove(&change.key),
                    };
                }
            }
            anyhow::Ok(())
        });
        waited.await.with_context(|| what.to_owned())?
    }
}

async fn follow(api: &Api) -> Result<()> {
    create(
        api,
        Kind::Namespace,
        SPACE,
        json!({"metadata": {"labels": {"story": "1"}}}),
    )
    .await?;
    for name in ["a", "b"] {
        create(api, Kind::ConfigMap, name, json!({"data": {"turn": "1"}})).await?;
    }
    let watched = vec![
        Watched::whole(Kind::ConfigMap),
        Watched::metadata(Kind::Namespace),
        // Not served by a bare API server.
        Watched::whole(Kind::RateLimitPolicy),
    ];
    let mut told = Told {
        source: ApiServerSource::open(api, watched),
        known: BTreeMap::new(),
    };
    let turn = |known: &BTreeMap<Key, Value>, name: &str| -> Option<String> {
        let found = known.get(&config_map(name))?.pointer("/data/turn")?;
        found.as_str().map(str::to_owned)
    };
    told.until("the first batch has everything", |known| !known.is_empty())
        .await?;
    ensure!(
        turn(&told.known, "a").as_deref() == Some("1"),
        "{:?}",
        told.known.keys()
    );
    let label = told.known.get(&Key::new(Kind::Namespace, "", SPACE));
    let label = label.and_then(|it| it.pointer("/metadata/labels/story"));
    ensure!(label == Some(&json!("1")), "{label:?}");

    let path = address::object(&config_map("a"), "v1");
    send(
        api,
        Method::PATCH,
        path,
        Content::MergePatch,
        json!({"data": {"turn": "2"}}),
    )
    .await?;
    api.call(Call {
        method: Method::DELETE,
        ..Call::get(address::object(&config_map("b"), "v1"))
    })
    .await?;
    create(api, Kind::ConfigMap, "c", json!({"data": {"turn": "3"}})).await?;
    told.until("changes are told", |known| {
        turn(known, "a").as_deref() == Some("2")
            && turn(known, "b").is_none()
            && turn(known, "c").as_deref() == Some("3")
    })
    .await
}

async fn speak(api: &Api) -> Result<()> {
    create(
        api,
        Kind::Service,
        "web",
        json!({"spec": {"ports": [{"port": 80}]}}),
    )
    .await?;
    let key = Key::new(Kind::Service, SPACE, "web");
    let path = address::object(&key, "v1");
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "reason": "Because", "message": "so",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let theirs = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": SPACE},
        "status": {"conditions": [condition("example.com/Theirs")]}});
    send(
        api,
        Method::PATCH,
        format!("{path}/status"),
        Content::Apply,
        theirs,
    )
    .await?;
    let sink = ApiServerSink::new(api.clone(), OURS);
    let words = json!({"status": {"conditions": [condition("example.com/Ours")]}});
    let version = async || -> Result<(String, Vec<String>)> {
        let live = api.call(Call::get(path.clone())).await?;
        let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
        let types = conditions.into_iter().flatten();
        let types = types.filter_map(|it| it.get("type")?.as_str().map(str::to_owned));
        let version = live
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str);
        Ok((version.unwrap_or_default().to_owned(), types.collect()))
    };
    sink.patch(MANAGER, &key, None, words.clone()).await?;
    let said = version().await?;
    ensure!(
        said.1 == ["example.com/Theirs", "example.com/Ours"],
        "{said:?}"
    );
    sink.patch(MANAGER, &key, None, words).await?;
    ensure!(
        version().await? == said,
        "what is said already is not written"
    );
    ApiServerSink::new(api.clone(), OURS)
        .remove(MANAGER, &key)
        .await?;
    let left = version().await?;
    ensure!(left.1 == ["example.com/Theirs"], "{left:?}");
    Ok(())
}

async fn make(api: &Api) -> Result<()> {
    let sink = ApiServerSink::new(api.clone(), OURS);
    let map = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": SPACE}, "data": data});
    sink.apply(MANAGER, map(json!({"a": "1", "b": "1"})))
        .await?;
    sink.apply(MANAGER, map(json!({"b": "2"}))).await?;
    let path = address::object(&config_map("made"), "v1");
    let live = api.call(Call::get(path.clone())).await?;
    ensure!(live.get("data") == Some(&json!({"b": "2"})), "{live}");
    sink.remove(MANAGER, &config_map("made")).await?;
    let gone = api.call(Call::get(path)).await;
    ensure!(gone.is_err_and(|it| it.code == 404), "it is still there");
    Ok(())
}

async fn elect(api: &Api) -> Result<()> {
    let (first, mut first_leads) = Candidate::new(api.clone(), SPACE, "first");
    let (trigger, until) = drain::channel();
    let first = task::spawn("first", first.run(until, std::future::ready(())));
    let leads = tokio::time::timeout(PATIENCE, first_leads.wait_for(|it| *it));
    drop(leads.await.context("the first leads")??);
    let (second, mut second_leads) = Candidate::new(api.clone(), SPACE, "second");
    let (second_trigger, until) = drain::channel();
    let second = task::spawn("second", second.run(until, std::future::ready(())));
    ensure!(!*second_leads.borrow());
    trigger.drain(PATIENCE).await;
    first.await?;
    let leads = tokio::time::timeout(PATIENCE, second_leads.wait_for(|it| *it));
    drop(leads.await.context("the second leads after the first")??);
    second_trigger.drain(PATIENCE).await;
    second.await?;
    Ok(())
}

async fn review(api: &Api) -> Result<()> {
    let trust_domain = watch::Sender::new(TrustDomain::default()).subscribe();
    let audiences = vec!["istio-ca".to_owned()];
    let reviewer = ReviewAuthenticator::new(api.clone(), audiences, trust_domain);
    for (token, word) in [
        ("bad.bad.bad", "refused"),
        ("nonsense", "malformed"),
        ("", "no_token"),
    ] {
        let error = reviewer.authenticate(token).await.err();
        let found = error.as_ref().map(|it| it.word());
        ensure!(found == Some(word), "{token:?}: {found:?}, {error:?}");
    }
    Ok(())
}
