//! Pure. The files under `status/` of an object directory: what a manager said about an object.
//!
//! One file per object and manager, JSON, named `<resource>_<namespace>_<name>@<manager>.json`; and one per
//! object that has been retired, `<resource>_<namespace>_<name>.retired.json`. The name is for people and
//! for uniqueness; what counts is inside.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::{Key, Kind};
use crate::uid;

/// The folder of these files, inside the object directory.
pub const FOLDER: &str = "status";

/// What one file says.
#[derive(Clone, PartialEq)]
pub enum StatusFile {
    /// What a manager said.
    Words(Words),
    /// How many objects of this key have been retired.
    Retired {
        /// The key.
        key: Key,
        /// The incarnation an object of this key is in now (see [`crate::uid`]).
        incarnation: u64,
    },
}

/// What a manager said about an object.
#[derive(Clone, PartialEq)]
pub struct Words {
    /// The object.
    pub key: Key,
    /// Who says it.
    pub manager: String,
    /// Whether the object exists because of it.
    pub way: Way,
    /// For a patch: the one object it is about; any of this key when absent.
    pub uid: Option<String>,
    /// The document or the fields.
    pub fields: Value,
}

/// Says which, never what: the words may hold a secret.
impl fmt::Debug for StatusFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StatusFile")
            .field(&self.file_name())
            .finish()
    }
}

/// What a manager wants with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The object exists because of them.
    Apply,
    /// They are merged over an object that exists anyway.
    Patch,
}

/// Why a file under `status/` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON of the expected shape.
    #[error("not a status file: {0}")]
    Json(#[from] serde_json::Error),
    /// Of a kind this version of Weft does not read.
    #[error("`{resource}` is not a kind that Weft reads")]
    Resource {
        /// As written.
        resource: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "camelCase")]
enum Wire {
    Apply {
        manager: String,
        resource: String,
        namespace: String,
        name: String,
        fields: Value,
    },
    Patch {
        manager: String,
        resource: String,
        namespace: String,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
        fields: Value,
    },
    Retired {
        resource: String,
        namespace: String,
        name: String,
        incarnation: u64,
    },
}

impl StatusFile {
    /// The object it is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            StatusFile::Words(words) => &words.key,
            StatusFile::Retired { key, .. } => key,
        }
    }

    /// The name of the file it belongs in.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            StatusFile::Words(words) => words_name(&words.key, &words.manager),
            StatusFile::Retired { key, .. } => retired_name(key),
        }
    }

    /// What is in the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let key = self.key();
        let (resource, namespace, name) =
            (key.kind.resource(), key.namespace.clone(), key.name.clone());
        let wire = match self.clone() {
            StatusFile::Retired { incarnation, .. } => Wire::Retired {
                resource,
                namespace,
                name,
                incarnation,
            },
            StatusFile::Words(Words {
                manager,
                way: Way::Apply,
                fields,
                ..
            }) => Wire::Apply {
                manager,
                resource,
                namespace,
                name,
                fields,
            },
            StatusFile::Words(Words {
                manager,
                way: Way::Patch,
                uid,
                fields,
                ..
            }) => Wire::Patch {
                manager,
                resource,
                namespace,
                name,
                uid,
                fields,
            },
        };
        let mut text = serde_json::to_string_pretty(&wire).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads what is in a file.
    pub fn from_json(bytes: &[u8]) -> Result<StatusFile, Error> {
        let key = |resource: String, namespace: &str, name: &str| {
            let kind = Kind::from_resource(&resource).ok_or(Error::Resource { resource })?;
            Ok::<Key, Error>(Key::new(kind, namespace, name))
        };
        Ok(match serde_json::from_slice(bytes)? {
            Wire::Apply {
                manager,
                resource,
                namespace,
                name,
                fields,
            } => {
                let key = key(resource, &namespace, &name)?;
                StatusFile::Words(Words {
                    key,
                    manager,
                    way: Way::Apply,
                    uid: None,
                    fields,
                })
            }
            Wire::Patch {
                manager,
                resource,
                namespace,
                name,
                uid,
                fields,
            } => {
                let key = key(resource, &namespace, &name)?;
                StatusFile::Words(Words {
                    key,
                    manager,
                    way: Way::Patch,
                    uid,
                    fields,
                })
            }
            Wire::Retired {
                resource,
                namespace,
                name,
                incarnation,
            } => StatusFile::Retired {
                key: key(resource, &namespace, &name)?,
                incarnation,
            },
        })
    }
}

/// The name of the file of a manager's words.
#[must_use]
pub fn words_name(key: &Key, manager: &str) -> String {
    format!("{}{manager}.json", words_prefix(key))
}

/// What the names of all managers' files about an object start with.
#[must_use]
pub fn words_prefix(key: &Key) -> String {
    format!("{}@", stem(key))
}

/// The name of the file that counts an object's incarnations.
#[must_use]
pub fn retired_name(key: &Key) -> String {
    format!("{}.retired.json", stem(key))
}

/// `_` and `@` cannot be part of an object's name. A name too long for a file system ends in a hash.
fn stem(key: &Key) -> String {
    let stem = format!("{}_{}_{}", key.kind.resource(), key.namespace, key.name);
    match stem.get(..140) {
        Some(start) => format!("{start}_{}", uid::derive(key, 0)),
        None => stem,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{StatusFile, Way, Words, words_name};
    use crate::kinds::{Key, Kind};

    #[test]
    fn what_is_written_is_read_back() {
        let words = |way, uid| {
            let (key, manager) = (
                Key::new(Kind::EndpointSlice, "a", "b-1"),
                "sandbox".to_owned(),
            );
            StatusFile::Words(Words {
                key,
                manager,
                way,
                uid,
                fields: json!({"a": 1}),
            })
        };
        for file in [
            words(Way::Apply, None),
            words(Way::Patch, None),
            words(Way::Patch, Some("u".to_owned())),
            StatusFile::Retired {
                key: Key::new(Kind::Node, "", "n"),
                incarnation: 3,
            },
        ] {
            let read = StatusFile::from_json(file.to_json().as_bytes()).unwrap();
            assert!(read == file, "{}", file.to_json());
        }
    }

    #[test]
    fn names_fit_a_file_system_and_differ() {
        let long = "a".repeat(252);
        let one = words_name(
            &Key::new(Kind::EndpointSlice, &"n".repeat(63), &format!("{long}1")),
            "m",
        );
        let two = words_name(
            &Key::new(Kind::EndpointSlice, &"n".repeat(63), &format!("{long}2")),
            "m",
        );
        assert!(one.len() < 255 && one != two);
        assert_eq!(
            words_name(&Key::new(Kind::Pod, "a", "b.c"), "cni"),
            "pods_a_b.c@cni.json"
        );
    }

    #[test]
    fn garbage_is_refused_with_the_reason() {
        let refused = |text: &str| {
            StatusFile::from_json(text.as_bytes())
                .err()
                .unwrap()
                .to_string()
        };
        assert!(refused("{").starts_with("not a status file"));
        assert!(refused("{\"way\": \"x\"}").starts_with("not a status file"));
        let foreign =
            r#"{"way":"retired","resource":"leases","namespace":"","name":"a","incarnation":1}"#;
        assert_eq!(refused(foreign), "`leases` is not a kind that Weft reads");
    }
}
