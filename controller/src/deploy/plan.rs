//! Pure. What should exist for one subject, what should not, and what its objects' status says.

use std::sync::Arc;

use objects::kinds::{Key, Kind};
use objects::object::Object;
use serde_json::Value;

use super::Settings;
use super::overlay::Overlay;
use super::parts::{self, Maker};
use super::picture::{Picture, Subject};
use super::status::{self, Outcome};
use super::waypoint::{
    CONTROLLER, MANAGED, MANAGED_BY, OUR_VERSION, VERSION, Waypoint, parameters,
};
use crate::status::Wish;

/// What waypoints are told.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) settings: &'a Settings,
    /// All roots, PEM.
    pub(super) roots: &'a str,
    pub(super) trust_domain: &'a str,
}

/// What should be for one subject.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Whole objects that should exist because of us.
    pub(super) documents: Vec<(Key, Value)>,
    /// Objects that we made and nobody wants any more.
    pub(super) gone: Vec<Key>,
    /// What became of the objects that ask.
    pub(super) said: Vec<(Arc<Object>, Outcome)>,
}

impl Plan {
    /// What is said when not all of it could be written.
    pub(super) fn failed(&mut self, reason: &str) {
        for (_, outcome) in &mut self.said {
            if *outcome != Outcome::Class {
                *outcome = Outcome::Failed(reason.to_owned());
            }
        }
    }

    /// The statuses to write.
    pub(super) fn wishes(&self, domain: &str) -> impl Iterator<Item = Wish> {
        self.said
            .iter()
            .map(move |(object, outcome)| Wish::new(object, status::of(object, outcome, domain)))
    }
}

/// What should be for `subject`.
pub(super) fn plan(picture: &Picture, told: Told<'_>, subject: &Subject) -> Plan {
    match subject {
        Subject::Class => class(picture),
        Subject::Roots(namespace) => roots(picture, told, namespace),
        Subject::Waypoint(namespace, name) => waypoint(picture, told, namespace, name),
    }
}

/// The class is made where it is missing and is its owner's from then on.
fn class(picture: &Picture) -> Plan {
    let (key, document) = parts::class();
    let missing = picture.get(&key).is_none().then_some((key, document));
    let ours = picture.classes();
    let ours = ours.filter(|(_, class)| class.spec.controller_name == CONTROLLER);
    Plan {
        documents: missing.into_iter().collect(),
        said: ours
            .map(|(object, _)| (Arc::clone(object), Outcome::Class))
            .collect(),
        ..Plan::default()
    }
}

fn roots(picture: &Picture, told: Told<'_>, namespace: &str) -> Plan {
    let (key, document) = parts::roots(told, namespace);
    let is_wanted = picture.wants_roots(namespace);
    let is_left = !is_wanted && picture.get(&key).is_some_and(|it| is_marked(it));
    Plan {
        gone: is_left.then(|| key.clone()).into_iter().collect(),
        documents: is_wanted.then_some((key, document)).into_iter().collect(),
        ..Plan::default()
    }
}

/// Whether a ConfigMap of that name is one that a mesh made.
fn is_marked(object: &Object) -> bool {
    object.metadata().labels.is("istio.io/config", "true")
}

fn waypoint(picture: &Picture, told: Told<'_>, namespace: &str, name: &str) -> Plan {
    let made = || picture.made_for(namespace, name).cloned();
    let Some((object, gateway)) = picture.waypoint(namespace, name) else {
        return without(picture, namespace, name, made().collect());
    };
    let waypoint = Waypoint::of(gateway);
    let say = |outcome| vec![(Arc::clone(object), outcome)];
    let documents = overlays(picture, waypoint).and_then(|overlays| {
        let maker = Maker {
            waypoint,
            told,
            network: picture.network(),
            overlays: &overlays,
        };
        maker.documents()
    });
    let documents = match documents {
        Ok(documents) => documents,
        // What is deployed stays as it is.
        Err(reason) => {
            return Plan {
                said: say(Outcome::InvalidParameters(reason)),
                ..Plan::default()
            };
        }
    };
    let strangers = documents
        .iter()
        .filter_map(|(key, _)| stranger(picture, key));
    let strangers: Vec<String> = strangers.collect();
    if !strangers.is_empty() {
        return Plan {
            said: say(Outcome::Strangers(strangers)),
            ..Plan::default()
        };
    }
    let is_wanted = |key: &Key| documents.iter().any(|(one, _)| one == key);
    let gone = made().filter(|key| !is_wanted(key)).collect();
    let pods = || picture.pods(namespace, name);
    let outcome = Outcome::Deployed {
        is_reachable: picture.get(&waypoint.key(Kind::Service)).is_some(),
        ready: pods().filter(|pod| pod.is_ready()).count(),
        pods: pods().count(),
    };
    Plan {
        documents,
        gone,
        said: say(outcome),
    }
}

/// A Gateway that is gone, or no waypoint any more.
fn without(picture: &Picture, namespace: &str, name: &str, gone: Vec<Key>) -> Plan {
    let left = picture.get(&Key::new(Kind::Gateway, namespace, name));
    let left = left.filter(|_| !gone.is_empty());
    Plan {
        said: left
            .map(|it| (Arc::clone(it), Outcome::Left))
            .into_iter()
            .collect(),
        gone,
        ..Plan::default()
    }
}

/// What users say of the parts: of all Gateways of the class, then of this one.
fn overlays(picture: &Picture, waypoint: Waypoint<'_>) -> Result<Vec<Overlay>, String> {
    let gateway = waypoint.gateway;
    let mut overlays = Vec::new();
    if let Some(map) = picture.defaults(&gateway.spec.gateway_class_name) {
        let of = |it| {
            format!(
                "ConfigMap {}/{}: {it}",
                map.metadata.namespace, map.metadata.name
            )
        };
        overlays.push(Overlay::read(map).map_err(of)?);
    }
    for reference in parameters(gateway) {
        if !reference.group.is_empty() || reference.kind != "ConfigMap" {
            let kind = &reference.kind;
            return Err(format!("parametersRef names a {kind}, not a ConfigMap"));
        }
        let key = Key::new(Kind::ConfigMap, waypoint.namespace(), &reference.name);
        let map = picture.get(&key).and_then(|it| it.config_map());
        let map = map.ok_or_else(|| format!("parametersRef: {key} does not exist"))?;
        overlays.push(Overlay::read(map).map_err(|it| format!("{key}: {it}"))?);
    }
    Ok(overlays)
}

/// Why an object that is there is not ours to write.
fn stranger(picture: &Picture, key: &Key) -> Option<String> {
    let meta = picture.get(key)?.metadata();
    if !meta.labels.is(MANAGED, MANAGED_BY) {
        return Some(format!("{key} is there and was not made for a Gateway"));
    }
    let version = meta.annotations.get(VERSION)?.parse().unwrap_or(0);
    let is_later = version > OUR_VERSION;
    is_later.then(|| format!("{key} was made by a later controller"))
}

#[cfg(test)]
mod tests;
