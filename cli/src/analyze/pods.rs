//! Pure. The pods that there would be: manifests hold templates of pods, and pods that have never run.
//!
//! Each template becomes one pod, and each pod gets an address and is ready, so that translation sees the mesh as it
//! would be. So does a waypoint's Gateway of which nobody says anything yet. What is found in an imagined pod is said of
//! the template it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use controller::problems::Found;
use objects::change::{Batch, Change};
use objects::kinds::{Key, Kind};
use objects::object::{Object, Parts};
use objects::raw::{Document, Path};
use serde_json::{Value, json};

/// Whose template an imagined pod is, and where in it.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_pod: BTreeMap<Key, (Key, Path)>,
}

impl Owners {
    /// Says of templates what was found in the pods made of them, once for each.
    pub(super) fn restore(&self, found: &mut Vec<Found>) {
        for one in found.iter_mut() {
            let key = one.problem.key.as_ref();
            let Some((owner, template)) = key.and_then(|key| self.by_pod.get(key)) else {
                continue;
            };
            one.problem.key = Some(owner.clone());
            one.problem.field = match one.problem.field.is_empty() {
                true => template.to_string(),
                false => format!("{template}.{}", one.problem.field),
            };
        }
        found.dedup();
    }
}

/// The batch with the pods that there would be.
pub(super) fn imagine(mut batch: Batch) -> (Batch, Owners) {
    let mut owners = Owners::default();
    let mut imagined = Vec::new();
    for (number, change) in batch.changes.iter_mut().enumerate() {
        let Some(object) = change.object.take() else {
            continue;
        };
        let status = status(number);
        if let Some(template) = template(object.key().kind)
            && let Some(document) = object.part(&template)
        {
            let owner = object.key();
            let kind = owner.kind.to_string().to_lowercase();
            let key = Key::new(
                Kind::Pod,
                &owner.namespace,
                &format!("{}.{kind}", owner.name),
            );
            let name = json!({"metadata": {"name": key.name, "namespace": key.namespace}});
            if let Some(pod) = imagined_as(&key, &object, document, vec![name, status]) {
                owners.by_pod.insert(key.clone(), (owner.clone(), template));
                imagined.push(Change {
                    key,
                    object: Some(pod),
                });
            }
            change.object = Some(object);
        } else if object.pod().is_some_and(|pod| pod.addresses().is_empty())
            && let Some(document) = object.part(&Path::default())
            && let Some(pod) = imagined_as(object.key(), &object, document, vec![status])
        {
            change.object = Some(pod);
        } else if is_undeployed(&object)
            && let Some(document) = object.part(&Path::default())
            && let key = object.key()
            && let Some(gateway) = imagined_as(key, &object, document, vec![deployed(key)])
        {
            change.object = Some(gateway);
        } else {
            change.object = Some(object);
        }
    }
    batch.changes.append(&mut imagined);
    (batch, owners)
}

/// Where a kind has its template of pods.
fn template(kind: Kind) -> Option<Path> {
    let keys: &[&str] = match kind {
        Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::ReplicaSet | Kind::Job => {
            &["spec", "template"]
        }
        Kind::CronJob => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    };
    Some(Path::of_keys(keys))
}

/// Whether it is a waypoint's Gateway that has come from its author, and not from a cluster.
fn is_undeployed(object: &Object) -> bool {
    let gateway = object.gateway();
    gateway.is_some_and(|it| it.spec.gateway_class_name == "istio-waypoint")
        && object.raw().get("status").is_none()
}

/// A status that the Gateway of a waypoint has once it is deployed.
fn deployed(key: &Key) -> Value {
    let host = format!("{}.{}.svc.cluster.local", key.name, key.namespace);
    json!({"status": {"addresses": [{"type": "Hostname", "value": host}]}})
}

/// The object of a document with something written over it; `None` when it cannot be read, which others have said.
fn imagined_as(
    key: &Key,
    from: &Object,
    document: Document,
    over: Vec<Value>,
) -> Option<Arc<Object>> {
    let patches = over.into_iter();
    let parts = Parts {
        patches: patches
            .map(|patch| Arc::new(Document::without_lines(patch).pack()))
            .collect(),
        ..Parts::new(from.file().into(), Arc::new(document.pack()))
    };
    Object::read(key.clone(), parts, 0).ok().map(Arc::new)
}

/// A status that pods in the mesh have, with an address of its own (RFC 2544 keeps this range for trials).
fn status(number: usize) -> Value {
    let (high, low) = (18 + (number / 65_536) % 2, number % 65_536);
    let address = format!("198.{high}.{}.{}", low / 256, low % 256);
    json!({"status": {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }})
}
