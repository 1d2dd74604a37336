//! Journeys through a waypoint: a service in two versions, routes in front of it, and scripted clients that ask.
//!
//! Each journey has a cluster of its own; what the conformance suite asserts is asserted here, and what it leaves out:
//! where a redirect leads, the path that arrives, the status of the route.

mod balancing;
mod bookshop;
mod consumers;
mod entrance;
mod filters;
mod grpc;
mod istio;
mod matching;
mod redirects;
mod resilience;
mod security;
mod weights;
mod words;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, World};
use sandbox::app::echo::{Answer, Ask, Seen};
use serde_json::Value;

use crate::{Journey, ensure};

/// Everything that runs and every pod must be there within this.
const SETTLED: Duration = Duration::from_secs(40);
/// How often in a row an answer must be as expected, while proxies hear of a change.
const IN_A_ROW: u32 = 3;
const CLIENT: &str = "shop/client";
/// `metadata.generation` of the routes: what their status says was seen.
const GENERATION: u32 = 7;
const SHOP: &str = include_str!("waypoint/shop.yaml");

/// All journeys through waypoints.
pub(crate) fn journeys() -> Vec<Journey> {
    let mut all = Vec::new();
    all.extend(entrance::JOURNEYS);
    all.extend(matching::JOURNEYS);
    all.extend(filters::JOURNEYS);
    all.extend(redirects::JOURNEYS);
    all.extend(weights::JOURNEYS);
    all.extend(consumers::JOURNEYS);
    all.extend(grpc::JOURNEYS);
    all.extend(words::JOURNEYS);
    all.extend(balancing::JOURNEYS);
    all.extend(resilience::JOURNEYS);
    all.extend(istio::JOURNEYS);
    all.extend(security::JOURNEYS);
    all.extend(bookshop::JOURNEYS);
    all
}

/// The place of the journeys.
pub(crate) struct Shop {
    world: World,
}

/// Builds the shop, walks through it, and tears it down.
pub(crate) fn journey(topic: &str, walk: impl FnOnce(&Shop) -> Result<()>) -> Result<()> {
    journey_at(topic, SHOP, walk)
}

/// The same at a place of these manifests.
pub(crate) fn journey_at(
    topic: &str,
    manifests: &str,
    walk: impl FnOnce(&Shop) -> Result<()>,
) -> Result<()> {
    let shop = Shop {
        world: World::start(topic)?,
    };
    let outcome = shop.open(manifests).and_then(|()| walk(&shop));
    shop.world.finish(outcome)
}

impl Shop {
    /// Applies the place's manifests and waits until everything in them is ready and enrolled.
    fn open(&self, manifests: &str) -> Result<()> {
        self.apply(manifests)?;
        self.world.sandbox.wait_settled(SETTLED)?;
        let mut pods = Vec::new();
        for pod in self.world.sandbox.status()?.pods {
            let is_ours = ["shop", "town", "bookshop"].contains(&pod.pod.namespace.as_str());
            // A waypoint takes tunnels itself.
            if is_ours
                && !pod.pod.name.starts_with("gate-")
                && !pod.pod.name.starts_with("waypoint-")
            {
                pods.push(pod.pod.to_string());
            }
        }
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        self.world.wait(&pods, true)
    }

    /// Applies documents: no word of them may be passed over.
    pub(crate) fn apply(&self, yaml: &str) -> Result<()> {
        let lines = self.world.sandbox.apply(yaml)?;
        let is_taken = lines.iter().all(|line| !line.contains("ignored"));
        ensure(is_taken && !lines.is_empty(), || format!("{lines:?}"))
    }

    /// Deletes an object of the shop.
    pub(crate) fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.world.sandbox.delete(kind, "shop", name)?;
        Ok(())
    }

    /// Asks from a pod, as often as the ask says.
    pub(crate) fn answers(&self, pod: &str, ask: &Ask) -> Result<Vec<Answer>> {
        self.world.ask(pod, std::slice::from_ref(ask))
    }

    /// Asks until the answer is as expected, some times in a row; gives the last one.
    pub(crate) fn becomes(
        &self,
        pod: &str,
        ask: &Ask,
        what: &str,
        is_right: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let asks = vec![ask.clone(); IN_A_ROW as usize];
        eventually(what, PATIENCE, || {
            let answers = self.world.ask(pod, &asks)?;
            match answers.iter().find(|answer| !is_right(answer)) {
                None => Ok(answers.into_iter().next_back()),
                Some(wrong) => bail!("{ask:?} was answered {wrong:?}"),
            }
        })
    }

    /// The client's answer becomes this version's, with this status.
    pub(crate) fn answered_by(&self, ask: &Ask, version: &str) -> Result<Seen> {
        let what = format!("{version} answers {}", ask.url);
        let is_right = |answer: &Answer| {
            answer.status == 200 && seen(answer).is_ok_and(|seen| seen.version == version)
        };
        seen(&self.becomes(CLIENT, ask, &what, is_right)?)
    }

    /// The client's answer becomes one of this status.
    pub(crate) fn answered_with(&self, ask: &Ask, status: u16) -> Result<Answer> {
        let what = format!("{} is answered with {status}", ask.url);
        self.becomes(CLIENT, ask, &what, |answer| answer.status == status)
    }

    /// Waits until an object's status, as the controller or another writer has it, is as wished.
    pub(crate) fn status(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        is_right: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let folder = self.world.sandbox.place().cluster().join("status");
        let prefix = format!("{resource}_{namespace}_{name}@");
        eventually(&format!("the status of {prefix}"), PATIENCE, || {
            let mut found = Value::Null;
            for file in std::fs::read_dir(&folder)?.flatten() {
                if !file.file_name().to_string_lossy().starts_with(&prefix) {
                    continue;
                }
                let text = std::fs::read_to_string(file.path())?;
                let words: Value = serde_json::from_str(&text)?;
                found = words.pointer("/fields/status").cloned().unwrap_or_default();
                if is_right(&found) {
                    return Ok(Some(found));
                }
            }
            bail!("it says {found}")
        })
    }

    /// Waits until a route says of its one parent, a service, that it is accepted and everything it names is there, and
    /// who says so of which generation.
    pub(crate) fn route_is_accepted(&self, resource: &str, name: &str) -> Result<()> {
        self.route_of_is_accepted("shop", resource, name)
    }

    /// The same of a route of another namespace.
    pub(crate) fn route_of_is_accepted(
        &self,
        namespace: &str,
        resource: &str,
        name: &str,
    ) -> Result<()> {
        let resource = format!("{resource}.gateway.networking.k8s.io");
        self.status(&resource, namespace, name, |status| {
            let parents = status.pointer("/parents").and_then(Value::as_array);
            let says = |at: &str, word: &str| status.pointer(at).is_some_and(|it| it == word);
            parents.is_some_and(|it| it.len() == 1)
                && says("/parents/0/controllerName", "istio.io/gateway-controller")
                && says("/parents/0/parentRef/kind", "Service")
                && ["Accepted", "ResolvedRefs"].iter().all(|kind| {
                    let good = ("True".to_owned(), (*kind).to_owned());
                    condition(status, kind) == Some(good) && was_seen(status, kind)
                })
        })
        .map(drop)
    }
}

/// Status and reason of a condition of a route's first parent.
pub(crate) fn condition(status: &Value, kind: &str) -> Option<(String, String)> {
    let conditions = status.pointer("/parents/0/conditions")?.as_array()?;
    let found = conditions
        .iter()
        .find(|it| it.get("type").is_some_and(|it| it == kind))?;
    let text = |field: &str| found.get(field)?.as_str().map(str::to_owned);
    Some((text("status")?, text("reason")?))
}

/// Whether a condition of a route's first parent is about the route as it was applied.
fn was_seen(status: &Value, kind: &str) -> bool {
    let conditions = status.pointer("/parents/0/conditions");
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions.any(|it| {
        it.get("type").is_some_and(|it| it == kind)
            && it
                .get("observedGeneration")
                .is_some_and(|it| *it == GENERATION)
    })
}

/// What the server saw, from its answer.
pub(crate) fn seen(answer: &Answer) -> Result<Seen> {
    serde_json::from_str(&answer.body).with_context(|| format!("{answer:?}"))
}

/// A GET of the service by name.
pub(crate) fn get(path: &str) -> Ask {
    Ask::get(&format!("http://echo{path}"))
}

/// An HTTPRoute of the shop with port 80 of the service as its parent.
pub(crate) fn route(name: &str, rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop, generation: {GENERATION}}}\n\
         spec:\n  parentRefs:\n  - {{group: \"\", kind: Service, name: echo, port: 80}}\n  rules:\n{rules}"
    )
}
