//! Create, replace, patch, apply and delete, with optimistic concurrency.
//!
//! Source: Kubernetes API concepts, "Patch, update", and API conventions, "Concurrency control and consistency",
//! "Spec and status": the main resource ignores `status`, the status subresource everything else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{self, Writer};
use super::path::Target;
use super::serve::Refused;
use super::store::{Name, Resource, Store, set};

/// A write as it was asked for.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a Target,
    pub(super) query: &'a BTreeMap<String, String>,
    pub(super) media_type: &'a str,
    pub(super) body: Value,
}

/// Does it; the object that is there now, and whether it is new.
pub(super) fn write(store: &mut Store, asked: Asked<'_>) -> Result<(Value, bool), Refused> {
    let Target {
        resource, version, ..
    } = asked.target;
    let facts = store.resource(resource, version).cloned();
    let facts = facts.ok_or_else(Refused::unserved)?;
    match (asked.method, asked.target.name.as_deref()) {
        ("POST", None) => create(store, &facts, asked),
        ("PUT", Some(name)) => {
            let name = name_of(asked.target, name);
            let live = live(store, &facts, &name)?;
            check_version(&live, &asked.body, &facts, &name)?;
            let wanted = asked.body.clone();
            finish(store, &facts, &name, &live, wanted, &asked).map(|it| (it, false))
        }
        ("PATCH", Some(name)) => patch(store, &facts, &name_of(asked.target, name), asked),
        ("DELETE", Some(name)) => delete(store, &facts, &name_of(asked.target, name), &asked),
        _ => Err(Refused::status(
            405,
            "MethodNotAllowed",
            "the method is not allowed",
        )),
    }
}

fn name_of(target: &Target, name: &str) -> Name {
    (
        target.namespace.clone().unwrap_or_default(),
        name.to_owned(),
    )
}

fn live(store: &Store, facts: &Resource, name: &Name) -> Result<Value, Refused> {
    let found = store.get(&facts.name(), name);
    found
        .map(|it| (*it).clone())
        .ok_or_else(|| Refused::absent(&facts.name(), &name.1))
}

fn create(store: &mut Store, facts: &Resource, asked: Asked<'_>) -> Result<(Value, bool), Refused> {
    let name = asked.body.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.filter(|it| !it.is_empty());
    let name = name.ok_or_else(|| Refused::status(422, "Invalid", "metadata.name is required"))?;
    let name = name_of(asked.target, name);
    if store.get(&facts.name(), &name).is_some() {
        let message = format!("{} \"{}\" already exists", facts.name(), name.1);
        return Err(Refused::status(409, "AlreadyExists", &message));
    }
    let nothing = json!({});
    let body = asked.body.clone();
    finish(store, facts, &name, &nothing, body, &asked).map(|it| (it, true))
}

fn patch(
    store: &mut Store,
    facts: &Resource,
    name: &Name,
    asked: Asked<'_>,
) -> Result<(Value, bool), Refused> {
    let is_apply = asked.media_type.starts_with("application/apply-patch");
    let found = store.get(&facts.name(), name).map(|it| (*it).clone());
    let is_new = found.is_none();
    let live = match (found, is_apply && asked.target.subresource.is_none()) {
        (Some(found), _) => found,
        (None, true) => json!({}),
        (None, false) => return Err(Refused::absent(&facts.name(), &name.1)),
    };
    check_version(&live, &asked.body, facts, name)?;
    let uid = |it: &Value| {
        it.pointer("/metadata/uid")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if let Some(wanted) = uid(&asked.body).filter(|it| Some(it) != uid(&live).as_ref()) {
        let message = format!("Precondition failed: UID in precondition: {wanted}");
        return Err(Refused::status(409, "Conflict", &message));
    }
    let wanted = match asked.media_type {
        "application/merge-patch+json" => {
            let mut wanted = live.clone();
            merge_patch(&mut wanted, &asked.body);
            wanted
        }
        _ if is_apply => {
            let writer = writer(&asked, "Apply")?;
            let force = asked.query.get("force").is_some_and(|it| it == "true");
            let mut base = live.clone();
            if is_new {
                identify(&mut base, facts, asked.target, name);
            }
            fields::apply(&base, &asked.body, &writer, force).map_err(|managers| {
                let message = format!("Apply failed with conflicts: conflicts with {managers:?}");
                Refused::status(409, "Conflict", &message)
            })?
        }
        other => {
            let message = format!("the body of the request was in an unknown format: {other}");
            return Err(Refused::status(415, "UnsupportedMediaType", &message));
        }
    };
    finish(store, facts, name, &live, wanted, &asked).map(|it| (it, is_new))
}

fn delete(
    store: &mut Store,
    facts: &Resource,
    name: &Name,
    asked: &Asked<'_>,
) -> Result<(Value, bool), Refused> {
    let live = live(store, facts, name)?;
    let wanted = asked.body.pointer("/preconditions/uid");
    if wanted.is_some_and(|it| live.pointer("/metadata/uid") != Some(it)) {
        return Err(Refused::status(
            409,
            "Conflict",
            "Precondition failed: UID in precondition",
        ));
    }
    store.delete(&facts.name(), name);
    Ok((
        json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
        false,
    ))
}

/// Whether the writer has seen the object as it is: the version in the body, when there is one.
fn check_version(live: &Value, body: &Value, facts: &Resource, name: &Name) -> Result<(), Refused> {
    let version = |it: &Value| it.pointer("/metadata/resourceVersion").cloned();
    match version(body).filter(|it| it != "") {
        Some(wanted) if version(live).as_ref() != Some(&wanted) => {
            let message = format!(
                "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
                facts.name(),
                name.1
            );
            Err(Refused::status(409, "Conflict", &message))
        }
        _ => Ok(()),
    }
}

fn writer<'a>(asked: &'a Asked<'_>, operation: &'static str) -> Result<Writer<'a>, Refused> {
    let manager = asked.query.get("fieldManager").map(String::as_str);
    let manager = match (manager, operation) {
        (Some(manager), _) => manager,
        (None, "Update") => "unknown",
        (None, _) => {
            return Err(Refused::status(
                422,
                "Invalid",
                "PatchOptions: fieldManager: Required value",
            ));
        }
    };
    Ok(Writer {
        manager,
        operation,
        subresource: asked.target.subresource.as_deref(),
    })
}

fn identify(object: &mut Value, facts: &Resource, target: &Target, name: &Name) {
    set(
        object,
        "apiVersion",
        facts.api_version(&target.version).into(),
    );
    set(object, "kind", facts.kind.into());
    if !object.get("metadata").is_some_and(Value::is_object) {
        set(object, "metadata", json!({}));
    }
    if let Some(metadata) = object.get_mut("metadata") {
        set(metadata, "name", name.1.clone().into());
        if facts.namespaced {
            set(metadata, "namespace", name.0.clone().into());
        }
    }
}

/// Of what is wanted, takes what this path may change, and puts it in place.
fn finish(
    store: &mut Store,
    facts: &Resource,
    name: &Name,
    live: &Value,
    wanted: Value,
    asked: &Asked<'_>,
) -> Result<Value, Refused> {
    let is_apply = asked.media_type.starts_with("application/apply-patch");
    let mut result;
    match asked.target.subresource.as_deref() {
        None => {
            result = wanted;
            let status = live.get("status").cloned().unwrap_or_default();
            if facts.kind != "Lease" {
                set(&mut result, "status", status);
            }
        }
        Some("status") => {
            result = live.clone();
            set(
                &mut result,
                "status",
                wanted.get("status").cloned().unwrap_or_default(),
            );
            if let (true, Some(metadata)) = (is_apply, result.get_mut("metadata")) {
                let fields = wanted.pointer("/metadata/managedFields").cloned();
                set(metadata, "managedFields", fields.unwrap_or_default());
            }
        }
        Some(_) => return Err(Refused::unserved()),
    }
    identify(&mut result, facts, asked.target, name);
    if !is_apply && !same(live, &result) {
        fields::updated(live, &mut result, &writer(asked, "Update")?);
    }
    Ok((*store.write(&facts.name(), name, result)).clone())
}

/// Whether two forms differ at most in their version.
fn same(one: &Value, other: &Value) -> bool {
    let without = |it: &Value| {
        let mut it = it.clone();
        if let Some(metadata) = it.get_mut("metadata") {
            set(metadata, "resourceVersion", Value::Null);
        }
        it
    };
    without(one) == without(other)
}

/// RFC 7396, without any list being merged.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            set(target, key, Value::Null);
        } else if let Value::Object(map) = target {
            merge_patch(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
