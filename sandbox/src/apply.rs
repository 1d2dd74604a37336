//! What `apply` and `delete` do to the cluster's directory: one file per object, written only when every document is good.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use objects::kinds::{Key, Kind};
use objects::object::{Object, Parts, Stranger, identify};
use objects::raw::{self, Document};
use objects::sink::directory::DirectorySink;
use serde_json::Value;

use crate::cluster::View;
use crate::roles::replicas::{self, MOST_PODS};

/// Kinds that Weft knows and a sandbox does not play.
const NOT_RUN: [Kind; 3] = [Kind::DaemonSet, Kind::ReplicaSet, Kind::CronJob];

/// Why nothing was applied or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not YAML: {0}")]
    Yaml(raw::Error),
    #[error("{}", .reasons.join("; "))]
    Bad { reasons: Vec<String> },
    #[error("nothing to apply: there is no document in it")]
    Empty,
    #[error("{kind} is not a kind that Weft reads")]
    UnknownKind { kind: String },
    #[error("{key} was not applied here")]
    NotApplied { key: Key },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Retire(#[from] objects::sink::Error),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The objects that exist now.
    pub(crate) keys: Vec<Key>,
    /// One line per document, for a person.
    pub(crate) lines: Vec<String>,
}

/// Creates or replaces the objects of `yaml` below `folder`.
pub(crate) fn apply(
    folder: &Path,
    sink: &DirectorySink,
    view: &View,
    yaml: &str,
) -> Result<Applied, Error> {
    let documents = raw::parse(yaml.as_bytes()).map_err(Error::Yaml)?;
    let documents: Vec<Document> = documents.into_iter().flat_map(flatten).collect();
    if documents.is_empty() {
        return Err(Error::Empty);
    }
    let (mut good, mut reasons, mut applied) = (Vec::new(), Vec::new(), Applied::default());
    for document in documents {
        let line = document.line();
        match identify(&document) {
            Err(error @ Stranger::UnknownKind { .. }) => {
                applied.lines.push(format!("line {line}: {error}: ignored"));
            }
            Err(error) => reasons.push(format!("line {line}: {}: {error}", error.path())),
            Ok(key) if NOT_RUN.contains(&key.kind) => {
                let text = format!("line {line}: a sandbox runs no {}: ignored", key.kind);
                applied.lines.push(text);
            }
            Ok(key) => match check(&key, &document) {
                Ok(()) => good.push((key, document)),
                Err(reason) => reasons.push(reason),
            },
        }
    }
    let namespaces: Vec<String> = good
        .iter()
        .filter(|(key, _)| key.kind == Kind::Namespace)
        .map(|(key, _)| key.name.clone())
        .collect();
    for (key, document) in &good {
        let exists = key.namespace.is_empty()
            || namespaces.contains(&key.namespace)
            || view
                .get(&Key::new(Kind::Namespace, "", &key.namespace))
                .is_some();
        if !exists {
            let line = document.line();
            reasons.push(format!(
                "line {line}: {key}: there is no namespace {}",
                key.namespace
            ));
        }
    }
    if !reasons.is_empty() {
        return Err(Error::Bad { reasons });
    }
    for (key, document) in good {
        applied
            .lines
            .push(put(folder, sink, view, &key, document.value())?);
        applied.keys.push(key);
    }
    Ok(applied)
}

/// A `List` holds whole objects.
fn flatten(document: Document) -> Vec<Document> {
    let is_list = document.value().get("kind").and_then(Value::as_str) == Some("List");
    if !is_list {
        return vec![document];
    }
    document.into_items("items").unwrap_or_default()
}

/// Whether the fields that Weft reads can be read.
fn check(key: &Key, document: &Document) -> Result<(), String> {
    let packed = Arc::new(document.clone().pack());
    let parts = Parts::new(Path::new("").into(), packed);
    match Object::read(key.clone(), parts, 0) {
        Ok(object) => match replicas::asked_for(&object) {
            Some((field, number)) if number > MOST_PODS => {
                let line = document.line();
                Err(format!(
                    "line {line}: {key}: {field}: {number} pods are more than a sandbox has room for ({MOST_PODS})"
                ))
            }
            _ => Ok(()),
        },
        Err(error) => {
            let line = if error.line > 0 {
                error.line
            } else {
                document.line()
            };
            Err(format!("line {line}: {key}: {error}"))
        }
    }
}

fn put(
    folder: &Path,
    sink: &DirectorySink,
    view: &View,
    key: &Key,
    document: &Value,
) -> Result<String, Error> {
    let path = folder.join(file_name(key));
    let text = serde_saphyr::to_string(document).map_err(|error| Error::Write {
        path: path.clone(),
        source: io::Error::other(error.to_string()),
    })?;
    let before = fs::read_to_string(&path).ok();
    if before.as_ref() == Some(&text) {
        return Ok(format!("{key} unchanged"));
    }
    let failed = |source| Error::Write {
        path: path.clone(),
        source,
    };
    let next = folder.join(format!(".{}.next", file_name(key)));
    fs::write(&next, &text).map_err(failed)?;
    fs::rename(&next, &path).map_err(failed)?;
    let Some(before) = before else {
        return Ok(format!("{key} created"));
    };
    // A pod's specification cannot change while it lives: the old pod goes, a new one comes.
    let spec_before = raw::parse(before.as_bytes())
        .ok()
        .and_then(|documents| documents.into_iter().next());
    let spec_before = spec_before.and_then(|document| document.value().get("spec").cloned());
    if key.kind == Kind::Pod && spec_before.as_ref() != document.get("spec") {
        if let Some(object) = view.get(key) {
            sink.retire_now(key, &object.metadata().uid)?;
        }
        return Ok(format!("{key} replaced"));
    }
    Ok(format!("{key} configured"))
}

/// Removes an object that was applied (a namespace with all in it); answers with what was removed. A later one of the same
/// name starts afresh; of a pod that is said when it has ended.
pub(crate) fn delete(
    folder: &Path,
    view: &View,
    sink: &DirectorySink,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Vec<Key>, Error> {
    let spelled = |one: &&Kind| {
        let facts = one.facts();
        let words = [facts.word, facts.plural];
        words.iter().any(|word| word.eq_ignore_ascii_case(kind))
    };
    let found = Kind::ALL.iter().find(spelled);
    let kind = *found.ok_or_else(|| Error::UnknownKind {
        kind: kind.to_owned(),
    })?;
    let key = Key::new(kind, namespace, name);
    let mut doomed = vec![key.clone()];
    if kind == Kind::Namespace {
        let inside = Kind::ALL.iter().flat_map(|kind| view.of(*kind));
        doomed.extend(
            inside
                .map(|object| object.key())
                .filter(|one| one.namespace == name)
                .cloned(),
        );
    }
    doomed.retain(|key| folder.join(file_name(key)).exists());
    if !doomed.contains(&key) {
        return Err(Error::NotApplied { key });
    }
    for key in &doomed {
        let path = folder.join(file_name(key));
        fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        if let Some(object) = view.get(key).filter(|_| key.kind != Kind::Pod) {
            sink.retire_now(key, &object.metadata().uid)?;
        }
    }
    Ok(doomed)
}

fn file_name(key: &Key) -> String {
    let kind = key.kind.facts().plural;
    match key.namespace.as_str() {
        "" => format!("{kind}_{}.yaml", key.name),
        namespace => format!("{kind}_{namespace}_{}.yaml", key.name),
    }
}
