//! Pure. What users say of the parts of a waypoint beyond what Gateways can: documents that are merged over ours.
//!
//! A ConfigMap has a text in YAML for each part. Maps are merged key by key and null removes; the lists of
//! [`IDENTITIES`] are merged entry by entry, others are replaced; `$patch: delete` removes an entry or a map and
//! `$patch: replace` takes the place of what was there. Source: docs/compat.md#waypoint-deployment.

use objects::kinds::Kind;
use objects::kubernetes::ConfigMap;
use objects::raw;
use serde_json::{Map, Value};

/// The parts that can be spoken of, by the keys of the ConfigMap.
const PARTS: [(&str, Kind); 5] = [
    ("deployment", Kind::Deployment),
    ("service", Kind::Service),
    ("serviceAccount", Kind::ServiceAccount),
    ("horizontalPodAutoscaler", Kind::HorizontalPodAutoscaler),
    ("podDisruptionBudget", Kind::PodDisruptionBudget),
];

/// The fields that tell the entries of a list apart; of several the first that an entry has. Source: the
/// Kubernetes API reference, "patch merge key".
const IDENTITIES: [(&str, &[&str]); 11] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "port"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
];

const DIRECTIVE: &str = "$patch";

/// What one ConfigMap says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Overlay(Vec<(Kind, Value)>);

impl Overlay {
    /// Reads a ConfigMap.
    ///
    /// # Errors
    /// A key that is no part, a text that is no map, a directive that is not known.
    pub(super) fn read(map: &ConfigMap) -> Result<Self, String> {
        let mut parts = Vec::new();
        for (key, text) in &map.data {
            let named = PARTS.iter().find(|(name, _)| name == key);
            let Some((_, kind)) = named else {
                let known = PARTS.map(|(name, _)| name).join(", ");
                return Err(format!("{key}: no such part; there are {known}"));
            };
            let documents = raw::parse(text.as_bytes()).map_err(|it| format!("{key}: {it}"))?;
            for document in documents {
                let value = document.value();
                if !value.is_object() {
                    return Err(format!("{key}: not a map of fields"));
                }
                check(value).map_err(|it| format!("{key}: {it}"))?;
                parts.push((*kind, value.clone()));
            }
        }
        Ok(Self(parts))
    }

    /// Whether a part is spoken of.
    pub(super) fn names(&self, kind: Kind) -> bool {
        self.0.iter().any(|(one, _)| *one == kind)
    }

    /// Merges what is said of a part over it.
    ///
    /// # Errors
    /// An entry of a list that cannot be told from others.
    pub(super) fn put_over(&self, kind: Kind, document: &mut Value) -> Result<(), String> {
        for (_, patch) in self.0.iter().filter(|(one, _)| *one == kind) {
            merge(document, patch)?;
        }
        Ok(())
    }
}

fn check(value: &Value) -> Result<(), String> {
    match value {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let is_known = key == DIRECTIVE && (value == "delete" || value == "replace");
            if key.starts_with('$') && !is_known {
                return Err(format!(
                    "{key}: {value}: only $patch: delete and $patch: replace are known"
                ));
            }
            check(value)
        }),
        Value::Array(items) => items.iter().try_for_each(check),
        _ => Ok(()),
    }
}

fn merge(target: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if directive(patch) == Some("replace") || !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return Ok(());
    };
    for (key, value) in patch.iter().filter(|(key, _)| *key != DIRECTIVE) {
        if value.is_null() || value.as_object().and_then(directive) == Some("delete") {
            target.shift_remove(key);
            continue;
        }
        let slot = target.entry(key.as_str()).or_insert(Value::Null);
        let identity = IDENTITIES.iter().find(|(list, _)| list == key);
        match (identity, value) {
            (Some((_, fields)), Value::Array(entries)) => {
                if !slot.is_array() {
                    *slot = Value::Array(Vec::new());
                }
                let Value::Array(present) = slot else {
                    continue;
                };
                for entry in entries {
                    merge_entry(present, entry, fields).map_err(|it| format!("{key}: {it}"))?;
                }
            }
            (_, value) => merge(slot, value).map_err(|it| format!("{key}.{it}"))?,
        }
    }
    Ok(())
}

fn merge_entry(present: &mut Vec<Value>, entry: &Value, identity: &[&str]) -> Result<(), String> {
    let field = identity.iter().find(|field| entry.get(**field).is_some());
    let Some(field) = field else {
        let fields = identity.join(" or ");
        return Err(format!("{entry} has no {fields} that tells it from others"));
    };
    let place = present
        .iter()
        .position(|it| it.get(field) == entry.get(field));
    match (place, entry.as_object().and_then(directive)) {
        (Some(place), Some("delete")) => {
            present.remove(place);
        }
        (None, Some("delete")) => {}
        (Some(place), _) => {
            if let Some(one) = present.get_mut(place) {
                merge(one, entry)?;
            }
        }
        (None, _) => {
            let mut new = Value::Null;
            merge(&mut new, entry)?;
            present.push(new);
        }
    }
    Ok(())
}

fn directive(map: &Map<String, Value>) -> Option<&str> {
    map.get(DIRECTIVE)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(parts: &[(&str, &str)]) -> Result<Overlay, String> {
        let owned = parts
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
        Overlay::read(&ConfigMap {
            data: owned.collect(),
            ..ConfigMap::default()
        })
    }

    fn merged(text: &str) -> Value {
        let overlay = read(&[("deployment", text)]).unwrap();
        let mut document = json!({"spec": {
            "replicas": 1,
            "args": ["a", "b"],
            "containers": [
                {"name": "one", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "ports": [{"containerPort": 1, "name": "x"}], "probe": {"path": "/", "port": 1}},
                {"name": "two"},
            ],
        }});
        overlay.put_over(Kind::Deployment, &mut document).unwrap();
        document["spec"].clone()
    }

    #[test]
    fn maps_and_known_lists_are_merged_and_the_rest_is_replaced() {
        let spec = merged(
            "spec: {replicas: 3, args: [c], containers: [{name: one, image: other, env: [{name: B, value: '3'}, {name: C, value: '4'}], ports: [{containerPort: 1, name: y}]}]}",
        );
        let expected = json!({
            "replicas": 3,
            "args": ["c"],
            "containers": [
                {"name": "one",
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
                    "ports": [{"containerPort": 1, "name": "y"}], "probe": {"path": "/", "port": 1}, "image": "other"},
                {"name": "two"},
            ],
        });
        assert_eq!(spec, expected);
    }

    #[test]
    fn null_and_directives_remove_and_replace() {
        let spec = merged(
            "spec: {replicas: null, containers: [{name: two, $patch: delete}, {name: one, env: null, ports: null, probe: {$patch: replace, exec: x}}]}",
        );
        let expected =
            json!({"args": ["a", "b"], "containers": [{"name": "one", "probe": {"exec": "x"}}]});
        assert_eq!(spec, expected);
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (key, text, said) in [
            ("deploymnet", "{}", "deploymnet: no such part"),
            ("deployment", "a text", "deployment: not a map of fields"),
            ("deployment", "{a", "deployment: "),
            (
                "service",
                "spec: {$retainKeys: [a]}",
                "service: $retainKeys",
            ),
        ] {
            let error = read(&[(key, text)]).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
        let overlay = read(&[("deployment", "spec: {containers: [{image: x}]}")]).unwrap();
        let error = overlay
            .put_over(Kind::Deployment, &mut json!({}))
            .unwrap_err();
        assert!(
            error.contains("containers: ") && error.contains("has no name"),
            "{error}"
        );
    }
}
