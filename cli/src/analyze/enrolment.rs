//! Pure. Who would be enrolled, and who only looks as if: labels, annotations and the agent's own rule.

use std::collections::HashMap;
use std::sync::Arc;

use cni::agent::eligible::{NotEnrolled, eligible};
use cni::config::Exclusions;
use controller::problems::Found;
use controller::translate::rule::Rule;
use objects::change::{Class, Problem};
use objects::kubernetes::Pod;
use objects::labels::Labels;
use objects::object::Object;
use objects::raw::Path;

/// The label that enrols a pod or a namespace.
const MODE: &str = "istio.io/dataplane-mode";
/// What it may say.
const MODES: [&str; 2] = ["ambient", "none"];
/// Annotations of a pod that are `true` or `false`.
const FLAGS: [&str; 2] = [
    "ambient.istio.io/bypass-inbound-capture",
    "ambient.istio.io/dns-capture",
];

/// What is to be said of namespaces and pods.
pub(super) fn findings(objects: &[Arc<Object>], system_namespace: &str) -> Vec<Found> {
    let named = |object: &Object| {
        let namespace = object.namespace()?;
        Some((
            namespace.metadata.name.clone(),
            namespace.metadata.labels.clone(),
        ))
    };
    let namespaces: HashMap<String, Labels> =
        objects.iter().filter_map(|object| named(object)).collect();
    let exclusions = Exclusions {
        namespaces: vec!["kube-system".to_owned()],
        system_namespace: system_namespace.to_owned(),
    };
    let mut found = Vec::new();
    for object in objects {
        found.extend(mode(object));
        if let Some(pod) = object.pod() {
            let namespace = namespaces.get(&pod.metadata.namespace);
            found.extend(left_out(object, pod, namespace, &exclusions));
            found.extend(flags(object, pod));
        }
    }
    found
}

/// A mode that is neither of the two says nothing, and looks as if it did.
fn mode(object: &Object) -> Option<Found> {
    if object.pod().is_none() && object.namespace().is_none() {
        return None;
    }
    let mode = object.metadata().labels.get(MODE)?;
    let is_known = MODES.contains(&mode);
    (!is_known).then(|| {
        let reason = format!("{mode:?} is no mode; it is `ambient` or `none`");
        found(
            object,
            Rule::DataplaneModeUnknown,
            &["metadata", "labels", MODE],
            reason,
        )
    })
}

/// A pod that asks for the mesh, itself or through its namespace, and does not get it.
fn left_out(
    object: &Object,
    pod: &Pod,
    namespace: Option<&Labels>,
    exclusions: &Exclusions,
) -> Option<Found> {
    let metadata = &pod.metadata;
    let asks_itself = metadata.labels.is(MODE, "ambient");
    let asks = asks_itself || namespace.is_some_and(|labels| labels.is(MODE, "ambient"));
    if !asks {
        return None;
    }
    let (path, why): (&[&str], &str) = match eligible(pod, namespace, exclusions).err()? {
        NotEnrolled::HostNetwork => (
            &["spec", "hostNetwork"],
            "it shares the node's network, which is never captured",
        ),
        NotEnrolled::Sidecar => (
            &["metadata", "annotations", "sidecar.istio.io/status"],
            "it has a sidecar, which does the mesh's work",
        ),
        NotEnrolled::ExcludedNamespace => (
            &["metadata", "namespace"],
            "its namespace is excluded from the mesh",
        ),
        NotEnrolled::NodeProxy => (&["metadata", "labels"], "it is a node proxy"),
        // Said by who wrote it, or over.
        NotEnrolled::OptedOut | NotEnrolled::NotAsked | NotEnrolled::Ended => return None,
    };
    let reason = format!("the pod stays outside the mesh: {why}");
    Some(found(object, Rule::NotEnrolled, path, reason))
}

fn flags(object: &Object, pod: &Pod) -> Vec<Found> {
    let annotations = &pod.metadata.annotations;
    let bad = |key: &&str| {
        let value = annotations.get(key)?;
        let reason = format!("{value:?} is neither `true` nor `false` and says nothing");
        let path = ["metadata", "annotations", key];
        value
            .parse::<bool>()
            .is_err()
            .then(|| found(object, Rule::InvalidValue, &path, reason))
    };
    FLAGS.iter().filter_map(bad).collect()
}

fn found(object: &Object, rule: Rule, path: &[&str], reason: String) -> Found {
    let path = Path::of_keys(path);
    Found {
        rule,
        problem: Problem {
            file: object.file().to_owned(),
            line: object.line_of(&path),
            key: Some(object.key().clone()),
            field: path.to_string(),
            reason,
            class: Class::Broken,
        },
    }
}
