//! Pure. Which node a pod runs on: the one it asks for, else the matching one with the fewest pods.

use std::collections::BTreeMap;

use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use objects::labels::Labels;
use objects::object::Object;
use objects::selector::contains_all;
use serde::Deserialize;
use serde_json::json;

use crate::cluster::{View, Wanted, Words};

/// A node for every pod that names none; decisions once made stay.
pub(crate) fn plan(view: &View, before: &Wanted) -> Wanted {
    let mut wanted = kept(view, before);
    let mut load: BTreeMap<&str, usize> = view
        .of(Kind::Node)
        .map(|node| (node.key().name.as_str(), 0))
        .collect();
    for pod in view.pods().filter(|pod| !pod.has_ended()) {
        if let Some(count) = load.get_mut(pod.spec.node_name.as_str()) {
            *count += 1;
        }
    }
    for object in view.of(Kind::Pod) {
        let Some(pod) = object.pod() else { continue };
        if !pod.spec.node_name.is_empty() || wanted.contains_key(object.key()) {
            continue;
        }
        let Some(node) = choose(view, object, &load) else {
            continue;
        };
        if let Some(count) = load.get_mut(node.as_str()) {
            *count += 1;
        }
        let fields = json!({"spec": {"nodeName": node}});
        wanted.insert(
            object.key().clone(),
            Words::Patch {
                uid: uid(pod),
                fields,
            },
        );
    }
    wanted
}

/// Why a pod has no node, in words for its status.
pub(crate) fn why_unplaced(object: &Object) -> String {
    let selector = node_selector(object);
    if selector.is_empty() {
        return "no node has been chosen yet".to_owned();
    }
    let asked: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("no node has the labels {}", asked.join(", "))
}

/// Decisions about pods that are still the same.
fn kept(view: &View, before: &Wanted) -> Wanted {
    let same = |key: &Key, words: &Words| {
        let now = view.get(key).map(|object| object.metadata().uid.clone());
        matches!(words, Words::Patch { uid, .. } if now.as_ref() == Some(uid))
    };
    before
        .iter()
        .filter(|(key, words)| same(key, words))
        .map(|(key, words)| (key.clone(), words.clone()))
        .collect()
}

fn choose(view: &View, pod: &Object, load: &BTreeMap<&str, usize>) -> Option<String> {
    let selector = node_selector(pod);
    view.of(Kind::Node)
        .filter(|node| contains_all(&node.metadata().labels, &selector))
        .map(|node| node.key().name.clone())
        .min_by_key(|name| {
            (
                load.get(name.as_str()).copied().unwrap_or_default(),
                name.clone(),
            )
        })
}

/// `spec.nodeSelector`, which only we read.
fn node_selector(pod: &Object) -> Labels {
    let selector = pod.raw().pointer("/spec/nodeSelector").cloned();
    selector
        .and_then(|value| Labels::deserialize(value).ok())
        .unwrap_or_default()
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone()
}
