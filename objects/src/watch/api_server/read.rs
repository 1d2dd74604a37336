//! Pure. An item of a list or an event's object becomes an object of ours, or a problem that names it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::api::address;
use crate::change::Problem;
use crate::kinds::{Key, Kind};
use crate::object::{Class, Object, Parts, identify};
use crate::raw::{Document, Path};

/// The annotation in which `kubectl apply` keeps a copy of the whole document.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What one object of the server says.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) object: Result<Arc<Object>, Problem>,
}

/// Reads an object; `None` when it cannot even be named, which no server does.
pub(super) fn read(kind: Kind, version: &str, mut item: Value) -> Option<Reading> {
    complete(kind, version, &mut item);
    let text = |pointer: &str| {
        let found = item.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let (uid, resource_version) = (text("/metadata/uid"), text("/metadata/resourceVersion"));
    let document = Document::without_lines(item);
    let key = identify(&document).ok()?;
    let file = Arc::from(PathBuf::new());
    let parts = Parts::new(file, Arc::new(document.pack()));
    let object = Object::read(key.clone(), parts, 0).map(Arc::new);
    let object = object.map_err(|bad| problem(&key, &bad.path, bad.reason));
    Some(Reading {
        key,
        uid,
        version: resource_version,
        object,
    })
}

/// The key and the resource version of an object that is gone.
pub(super) fn name(kind: Kind, item: &Value) -> Option<Key> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
    let namespace = text("/metadata/namespace").unwrap_or_default();
    Some(Key::new(kind, namespace, text("/metadata/name")?))
}

fn problem(key: &Key, field: &Path, reason: String) -> Problem {
    Problem {
        file: PathBuf::new(),
        line: 0,
        key: Some(key.clone()),
        field: field.to_string(),
        reason,
        class: Class::Broken,
    }
}

/// Items of a list do not say what they are, objects of which only the metadata was asked for say something else. The
/// server's book-keeping and the copy that `kubectl` keeps would be most of what an object weighs.
fn complete(kind: Kind, version: &str, item: &mut Value) {
    let Value::Object(map) = item else {
        return;
    };
    let api_version = address::group_version(kind, version);
    map.insert("apiVersion".to_owned(), api_version.into());
    map.insert("kind".to_owned(), kind.facts().word.into());
    let Some(Value::Object(metadata)) = map.get_mut("metadata") else {
        return;
    };
    metadata.shift_remove("managedFields");
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.shift_remove(LAST_APPLIED);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;
    use crate::kinds::Kind;

    #[test]
    fn an_item_of_a_list_is_named_by_what_was_asked_for() {
        let item = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7",
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}}});
        let reading = read(Kind::HTTPRoute, "v1beta1", item).unwrap();
        assert_eq!(reading.key.to_string(), "HTTPRoute shop/web");
        assert_eq!((&*reading.uid, &*reading.version), ("u", "7"));
        let object = reading.object.unwrap();
        assert_eq!(
            object.raw(),
            json!({
                "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7",
                    "annotations": {"a": "b"}},
                "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "HTTPRoute",
            })
        );
    }

    #[test]
    fn metadata_alone_makes_a_namespace() {
        let item = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "shop", "uid": "u", "labels": {"a": "b"}}});
        let reading = read(Kind::Namespace, "v1", item).unwrap();
        assert_eq!(reading.key.to_string(), "Namespace shop");
        assert!(reading.object.unwrap().namespace().is_some());
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_that_names_object_and_field() {
        let item = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
            "spec": {"ports": [{"port": "eighty"}]}});
        let reading = read(Kind::Service, "v1", item).unwrap();
        let problem = reading.object.unwrap_err();
        let text = problem.to_string();
        assert!(
            text.starts_with("Service shop/web: spec.ports[0].port: "),
            "{text}"
        );
    }
}
