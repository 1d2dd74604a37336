//! Pure. Which object stands under each key, given everything that is said about it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::change::{Batch, Change, Class, Problem};
use crate::kinds::Key;
use crate::object::{BadField, Object, Parts};
use crate::raw::{Document, Packed};
use crate::status_file::{StatusFile, Way, Words};
use crate::uid;

/// Everything said about every key.
#[derive(Debug, Default)]
pub(super) struct Shelf(HashMap<Key, Entry>);

/// Where a document stands; the first place wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    /// Position among the file's documents.
    pub(super) index: usize,
}

/// Everything said about one key, and what came of it.
#[derive(Debug, Default)]
struct Entry {
    definitions: BTreeMap<Place, Arc<Packed>>,
    /// By manager; then by file, of which there is one unless somebody copied it.
    words: BTreeMap<(String, Arc<Path>), Said>,
    retired: BTreeMap<Arc<Path>, u64>,
    object: Option<Arc<Object>>,
    problems: Vec<Problem>,
}

#[derive(Debug, Clone)]
struct Said {
    file: Arc<Path>,
    way: Way,
    uid: Option<String>,
    fields: Arc<Packed>,
}

impl Shelf {
    /// A user's document of this key stands here, or no longer does.
    pub(super) fn define(&mut self, key: &Key, place: Place, document: Option<Arc<Packed>>) {
        let entry = self.0.entry(key.clone()).or_default();
        match document {
            Some(document) => entry.definitions.insert(place, document),
            None => entry.definitions.remove(&place),
        };
    }

    /// A file under `status/` says this.
    pub(super) fn say(&mut self, file: &Arc<Path>, status: StatusFile) {
        let entry = self.0.entry(status.key().clone()).or_default();
        match status {
            StatusFile::Retired { incarnation, .. } => {
                entry.retired.insert(file.clone(), incarnation);
            }
            StatusFile::Words(Words {
                manager,
                way,
                uid,
                fields,
                ..
            }) => {
                let fields = Arc::new(Document::without_lines(fields).pack());
                let said = Said {
                    file: file.clone(),
                    way,
                    uid,
                    fields,
                };
                entry.words.insert((manager, file.clone()), said);
            }
        }
    }

    /// A file under `status/` no longer says what it said about this key.
    pub(super) fn unsay(&mut self, key: &Key, file: &Arc<Path>) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.retired.remove(file);
            entry.words.retain(|_, said| said.file != *file);
        }
    }

    /// Works out the object of a key anew and adds what is different to the batch.
    pub(super) fn refresh(&mut self, key: &Key, batch: &mut Batch) {
        let Some(entry) = self.0.get_mut(key) else {
            return;
        };
        let (object, problems) = entry.resolve(key);
        batch.replace_problems(&mut entry.problems, problems);
        let is_same = match (&entry.object, &object) {
            (Some(old), Some(new)) => old.says_the_same(new),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            batch.changes.push(Change {
                key: key.clone(),
                object: object.clone(),
            });
        }
        entry.object = object;
        if entry.is_empty() {
            self.0.remove(key);
        }
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.definitions.is_empty() && self.words.is_empty() && self.retired.is_empty()
    }

    fn resolve(&self, key: &Key) -> (Option<Arc<Object>>, Vec<Problem>) {
        let mut problems = self.duplicates(key);
        let applied = self.words.values().filter(|said| said.way == Way::Apply);
        let defined = self.definitions.first_key_value();
        let (base, applied_over) = match defined {
            Some((place, document)) => (Parts::new(place.file.clone(), document.clone()), 0),
            None => match applied.clone().next() {
                Some(said) => (Parts::new(said.file.clone(), said.fields.clone()), 1),
                None => return (None, problems),
            },
        };
        let incarnation = self.retired.values().copied().max().unwrap_or(0);
        let patches = self.words.values().filter(|said| said.way == Way::Patch);
        let patches = patches.filter(|said| said.is_about(key, &base.document, incarnation));
        let over: Vec<&Said> = applied.skip(applied_over).chain(patches).collect();
        let whole = Parts {
            patches: over.iter().map(|said| said.fields.clone()).collect(),
            ..base.clone()
        };
        let object = Object::read(key.clone(), whole, incarnation)
            .or_else(|_| readable(key, base, &over, incarnation, &mut problems));
        match object {
            Ok(object) => (Some(Arc::new(object)), problems),
            Err(_) => (self.object.clone(), problems),
        }
    }

    fn duplicates(&self, key: &Key) -> Vec<Problem> {
        let mut places = self.definitions.iter();
        let Some((first, document)) = places.next() else {
            return Vec::new();
        };
        let first_line = document.line();
        let duplicate = |(place, document): (&Place, &Arc<Packed>)| Problem {
            file: place.file.to_path_buf(),
            line: document.line(),
            key: Some(key.clone()),
            field: String::new(),
            reason: format!(
                "already defined in {}:{first_line}, which counts",
                first.file.display()
            ),
            class: Class::Broken,
        };
        places.map(duplicate).collect()
    }
}

impl Said {
    /// Whether a patch is about the object this document makes.
    fn is_about(&self, key: &Key, document: &Packed, incarnation: u64) -> bool {
        let Some(about) = &self.uid else { return true };
        let document = document.unpack();
        let given = document
            .value()
            .pointer("/metadata/uid")
            .and_then(Value::as_str);
        match given.filter(|uid| !uid.is_empty()) {
            Some(uid) => uid == about,
            None => *about == uid::derive(key, incarnation),
        }
    }
}

/// The object without what makes it unreadable, each of which is a problem.
fn readable(
    key: &Key,
    mut parts: Parts,
    over: &[&Said],
    incarnation: u64,
    problems: &mut Vec<Problem>,
) -> Result<Object, BadField> {
    for said in over {
        let mut with = parts.clone();
        with.patches.push(said.fields.clone());
        match Object::read(key.clone(), with.clone(), incarnation) {
            Ok(_) => parts = with,
            Err(bad) => problems.push(Problem {
                file: said.file.to_path_buf(),
                line: 0,
                key: Some(key.clone()),
                field: bad.path.to_string(),
                reason: bad.reason,
                class: Class::Broken,
            }),
        }
    }
    Object::read(key.clone(), parts, incarnation)
}
