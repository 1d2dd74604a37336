//! Lists: pages of one snapshot. Source: Kubernetes API concepts, "Retrieving large results sets in chunks".

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::path::Target;
use super::serve::Refused;
use super::store::{Resource, Store, set};

/// A page of the objects as they are now. A token for the next page holds the version of the first one and where to go
/// on; when anything was forgotten since that version, it has expired.
pub(super) fn page(
    store: &Store,
    facts: &Resource,
    target: &Target,
    query: &BTreeMap<String, String>,
    metadata_only: bool,
) -> Result<Value, Refused> {
    let limit = query.get("limit").and_then(|it| it.parse().ok());
    let limit = limit.filter(|it| *it > 0).unwrap_or(usize::MAX);
    let (as_of, begin) = match query.get("continue") {
        None => (store.version(), 0),
        Some(token) => {
            let parsed = token.split_once('/');
            let parsed = parsed.and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
            parsed.ok_or_else(|| Refused::status(400, "BadRequest", "continue key is not valid"))?
        }
    };
    if as_of < store.compacted() {
        let message =
            "The provided continue parameter is too old to display a consistent list result.";
        return Err(Refused::status(410, "Expired", message));
    }
    let mut all = snapshot(store, facts, target, as_of);
    let field = Field::of(query);
    all.retain(|it| field.holds(it));
    let shown = all.iter().skip(begin).take(limit);
    let items: Vec<Value> = shown.map(|it| item(it, metadata_only)).collect();
    let next = begin + items.len();
    let mut metadata = json!({"resourceVersion": as_of.to_string()});
    if next < all.len() {
        set(&mut metadata, "continue", format!("{as_of}/{next}").into());
        set(
            &mut metadata,
            "remainingItemCount",
            (all.len() - next).into(),
        );
    }
    let (kind, version) = match metadata_only {
        true => (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        ),
        false => (
            format!("{}List", facts.kind),
            facts.api_version(&target.version),
        ),
    };
    Ok(json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items}))
}

/// What a field must be for an object to be shown. Source: Kubernetes documentation, "Field Selectors".
#[derive(Default)]
pub(super) struct Field(Option<(String, String)>);

impl Field {
    /// Reads the query; one field and `=` are enough here.
    pub(super) fn of(query: &BTreeMap<String, String>) -> Field {
        let asked = query.get("fieldSelector");
        let asked = asked.and_then(|it| it.split_once('='));
        Field(asked.map(|(path, value)| (format!("/{}", path.replace('.', "/")), value.to_owned())))
    }

    pub(super) fn holds(&self, object: &Value) -> bool {
        let Some((path, wanted)) = &self.0 else {
            return true;
        };
        object.pointer(path).is_some_and(|it| it == wanted.as_str())
    }
}

/// The objects as of a version that is remembered: what is there, with what happened since undone.
fn snapshot(store: &Store, facts: &Resource, target: &Target, as_of: u64) -> Vec<Arc<Value>> {
    let name = facts.name();
    let namespace = target.namespace.as_deref();
    let mut all = store.all(&name, namespace);
    let later = store.since(&name, as_of);
    if later.is_empty() {
        return all;
    }
    // Pages of a list that changes meanwhile: what is new is left out, what changed is shown as it is now, and what is gone
    // is shown as it was. The real one shows all as it was; nobody can tell, who watches from the list's version on.
    let of = |it: &Value| it.pointer("/metadata/uid").cloned();
    for happening in later {
        let uid = of(&happening.object);
        match happening.word {
            "ADDED" => all.retain(|it| of(it) != uid),
            "DELETED" => all.push(happening.object),
            _ => {}
        }
    }
    let place = |it: &Arc<Value>| {
        let text = |key: &str| {
            it.pointer(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        (text("/metadata/namespace"), text("/metadata/name"))
    };
    all.sort_by_key(place);
    all
}

/// An item of a list: without what the list says of all.
fn item(object: &Arc<Value>, metadata_only: bool) -> Value {
    if metadata_only {
        return metadata(object);
    }
    let mut item = (**object).clone();
    set(&mut item, "apiVersion", Value::Null);
    set(&mut item, "kind", Value::Null);
    item
}

/// An object's metadata alone. Source: Kubernetes API concepts, "Metadata-only fetches".
pub(super) fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}
