//! Pure. The pods of Deployments, StatefulSets and Jobs.
//!
//! A Deployment's new pods come first; one old pod goes for each new one that is ready. Pods carry a ReplicaSet as their
//! owner and its hash as a label, as in Kubernetes, though no ReplicaSet object is written.

use std::collections::BTreeMap;

use objects::kinds::{Key, Kind};
use objects::object::{Object, Typed};
use serde_json::{Map, Value, json};

use crate::cluster::{View, Wanted, Words};

/// Label that tells the pods of one version of a Deployment from those of another.
const HASH_LABEL: &str = "pod-template-hash";

/// Most pods that one object may ask for; `apply` refuses more. A node has room for about a hundred.
pub(crate) const MOST_PODS: u32 = 1000;

/// How many pods an object asks for, and the field that says so.
pub(crate) fn asked_for(object: &Object) -> Option<(&'static str, u32)> {
    match object.typed() {
        Typed::Deployment(deployment) => Some(("spec.replicas", deployment.spec.replicas?)),
        Typed::StatefulSet(set) => Some(("spec.replicas", set.spec.replicas?)),
        Typed::Job(job) => Some(("spec.completions", job.spec.completions?)),
        _ => None,
    }
}

/// Every pod that should exist because of another object, and what those objects' status says.
pub(crate) fn plan(view: &View, before: &Wanted) -> Wanted {
    let mut wanted = Wanted::new();
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::Job] {
        for object in view.of(kind) {
            match object.typed() {
                Typed::Deployment(deployment) => {
                    let replicas = deployment.spec.replicas.unwrap_or(1).min(MOST_PODS);
                    deployment_pods(view, before, object, replicas, &mut wanted);
                }
                Typed::StatefulSet(set) => {
                    stateful_pods(
                        view,
                        object,
                        set.spec.replicas.unwrap_or(1).min(MOST_PODS),
                        &mut wanted,
                    );
                }
                Typed::Job(job) => {
                    let spec = &job.spec;
                    let (most, wished) = (
                        spec.parallelism.unwrap_or(1),
                        spec.completions.unwrap_or(1).min(MOST_PODS),
                    );
                    job_pods(view, object, most, wished, &mut wanted);
                }
                _ => {}
            }
        }
    }
    wanted
}

fn deployment_pods(
    view: &View,
    before: &Wanted,
    deployment: &Object,
    replicas: u32,
    wanted: &mut Wanted,
) {
    let raw = deployment.raw();
    let template = raw.pointer("/spec/template").cloned().unwrap_or_default();
    let hash = hash(&template);
    let set = format!("{}-{hash}", deployment.key().name);
    let mut ready = 0;
    for index in 0..replicas {
        let name = format!("{set}-{}", suffix(index));
        let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set,
            "uid": format!("{}-{hash}", deployment.metadata().uid), "controller": true});
        let labels = [(HASH_LABEL, hash.clone())];
        let (key, document) = pod(deployment, &template, &name, owner, &labels);
        ready += u32::from(is_ready(view, &key));
        wanted.insert(key, Words::Apply(document));
    }
    let prefix = format!("{}-", deployment.key().name);
    let old = before.iter().filter(|(key, words)| {
        key.namespace == deployment.key().namespace
            && key.name.starts_with(&prefix)
            && !wanted.contains_key(key)
            && is_of_deployment(words, &prefix, deployment)
    });
    let to_keep = usize::try_from(replicas.saturating_sub(ready)).unwrap_or(usize::MAX);
    // A scale-down has no old version to keep: same hash, just fewer.
    let keep: Vec<(Key, Words)> = old
        .filter(|(key, _)| !key.name.starts_with(&format!("{set}-")))
        .take(to_keep)
        .map(|(key, words)| (key.clone(), words.clone()))
        .collect();
    wanted.extend(keep);
    let status = json!({"status": {"replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": ready, "availableReplicas": ready}});
    wanted.insert(deployment.key().clone(), patch(deployment, status));
}

fn is_of_deployment(words: &Words, prefix: &str, deployment: &Object) -> bool {
    let Words::Apply(document) = words else {
        return false;
    };
    let owner = document.pointer("/metadata/ownerReferences/0");
    let text = |field: &str| owner?.get(field)?.as_str();
    text("name").is_some_and(|name| name.starts_with(prefix))
        && text("uid").is_some_and(|uid| uid.starts_with(&deployment.metadata().uid))
}

fn stateful_pods(view: &View, set: &Object, replicas: u32, wanted: &mut Wanted) {
    let raw = set.raw();
    let template = raw.pointer("/spec/template").cloned().unwrap_or_default();
    let mut ready = 0;
    for index in 0..replicas {
        let name = format!("{}-{index}", set.key().name);
        let owner = owner(set, "apps/v1");
        let labels = [
            ("statefulset.kubernetes.io/pod-name", name.clone()),
            ("apps.kubernetes.io/pod-index", index.to_string()),
            (
                "controller-revision-hash",
                format!("{}-{}", set.key().name, hash(&template)),
            ),
        ];
        let (key, document) = pod(set, &template, &name, owner, &labels);
        let was_ready = is_ready(view, &key);
        wanted.insert(key, Words::Apply(document));
        if !was_ready {
            break; // one after the other, as promised
        }
        ready += 1;
    }
    let status = json!({"status": {"replicas": replicas, "readyReplicas": ready}});
    wanted.insert(set.key().clone(), patch(set, status));
}

fn job_pods(view: &View, job: &Object, most: u32, wished: u32, wanted: &mut Wanted) {
    let raw = job.raw();
    let template = raw.pointer("/spec/template").cloned().unwrap_or_default();
    let (mut succeeded, mut failed, mut active) = (0, 0, 0);
    for index in 0..wished {
        let name = format!("{}-{}", job.key().name, suffix(index));
        let labels = [("batch.kubernetes.io/job-name", job.key().name.clone())];
        let (key, document) = pod(job, &template, &name, owner(job, "batch/v1"), &labels);
        let phase = view
            .get(&key)
            .and_then(|object| Some(object.pod()?.status.phase));
        match phase {
            Some(objects::kubernetes::PodPhase::Succeeded) => succeeded += 1,
            Some(objects::kubernetes::PodPhase::Failed) => failed += 1,
            _ if active >= most => break,
            _ => active += 1,
        }
        wanted.insert(key, Words::Apply(document));
    }
    let status = json!({"status": {"active": active, "succeeded": succeeded, "failed": failed}});
    wanted.insert(job.key().clone(), patch(job, status));
}

/// A pod from a template; labels of ours come on top of the template's.
fn pod(
    owner: &Object,
    template: &Value,
    name: &str,
    reference: Value,
    labels: &[(&str, String)],
) -> (Key, Value) {
    let key = Key::new(Kind::Pod, &owner.key().namespace, name);
    let part = |pointer: &str| {
        template
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| json!({}))
    };
    let mut all_labels: Map<String, Value> = part("/metadata/labels")
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (label, value) in labels {
        all_labels.insert((*label).to_owned(), Value::String(value.clone()));
    }
    let document = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": key.namespace,
            "labels": all_labels,
            "annotations": part("/metadata/annotations"),
            "ownerReferences": [reference],
        },
        "spec": part("/spec"),
    });
    (key, document)
}

fn owner(object: &Object, api_version: &str) -> Value {
    json!({"apiVersion": api_version, "kind": object.key().kind.to_string(),
        "name": object.key().name, "uid": object.metadata().uid, "controller": true})
}

fn patch(object: &Object, fields: Value) -> Words {
    Words::Patch {
        uid: object.metadata().uid.clone(),
        fields,
    }
}

fn is_ready(view: &View, key: &Key) -> bool {
    view.get(key)
        .and_then(|object| object.pod())
        .is_some_and(|pod| pod.is_ready())
}

/// A short name for a template, from what it says. Kubernetes' alphabet, which spells no words.
fn hash(template: &Value) -> String {
    let mut sorted = BTreeMap::new();
    flatten(template, String::new(), &mut sorted);
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in sorted
        .iter()
        .flat_map(|(path, value)| [path.as_bytes(), &[0], value.as_bytes(), &[0]].concat())
    {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    letters(hash, 9)
}

/// Order of keys does not count.
fn flatten(value: &Value, path: String, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(value, format!("{path}/{key}"), into);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(value, format!("{path}/{index}"), into);
            }
        }
        leaf => {
            into.insert(path, leaf.to_string());
        }
    }
}

fn suffix(index: u32) -> String {
    letters(
        u64::from(index)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15),
        5,
    )
}

fn letters(mut number: u64, count: usize) -> String {
    const LETTERS: [char; 27] = [
        'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w',
        'x', 'z', '2', '4', '5', '6', '7', '8', '9',
    ];
    let mut text = String::new();
    for _ in 0..count {
        let index = usize::try_from(number % 27).unwrap_or_default();
        text.extend(LETTERS.get(index));
        number /= 27;
    }
    text
}

#[cfg(test)]
mod tests;
