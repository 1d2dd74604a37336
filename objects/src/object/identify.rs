//! Pure. Which object a document is about, before its fields are read.

use serde_json::Value;

use crate::kinds::{Key, Kind, Recognised};
use crate::raw::{Document, Path};

/// What a problem says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It cannot be read, in whole or in part.
    Broken,
    /// It is of a kind that meshes read and Weft does not: what it asks for does not happen.
    NotRead,
    /// It is of a kind that is none of a mesh's business.
    Foreign,
}

/// Why a document is not an object Weft can name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// A list or a word instead of a map.
    #[error("the document is not a map of fields")]
    NotAMap,
    /// Needed to know what it is.
    #[error("the field is missing or not text")]
    Missing {
        /// Which field.
        path: Path,
    },
    /// Not a kind Weft reads.
    #[error("{api_version} {word} is not a kind that Weft reads")]
    UnknownKind {
        /// As written.
        api_version: String,
        /// As written.
        word: String,
    },
    /// A kind Weft reads, but in another version.
    #[error("{kind} is read as {accepted}, not as {api_version}")]
    OtherVersion {
        /// The kind.
        kind: Kind,
        /// As written.
        api_version: String,
        /// What would be read.
        accepted: String,
    },
    /// Kubernetes would refuse it.
    #[error("`{text}` is no name: lower case letters, digits, `-` and `.` only, at most 253")]
    BadName {
        /// Which field.
        path: Path,
        /// As written.
        text: String,
    },
}

impl Stranger {
    /// The field at fault; empty when it is the whole document.
    #[must_use]
    pub fn path(&self) -> Path {
        match self {
            Stranger::NotAMap => Path::default(),
            Stranger::Missing { path } | Stranger::BadName { path, .. } => path.clone(),
            Stranger::UnknownKind { .. } => Path::of_keys(&["kind"]),
            Stranger::OtherVersion { .. } => Path::of_keys(&["apiVersion"]),
        }
    }
}

impl Stranger {
    /// Whether something is broken, or the document is just not for Weft.
    #[must_use]
    pub fn class(&self) -> Class {
        let Stranger::UnknownKind { api_version, .. } = self else {
            return Class::Broken;
        };
        let (group, _) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let is_of_meshes = group == "gateway.networking.k8s.io"
            || group.ends_with(".istio.io")
            || group == "weft.dev";
        match is_of_meshes {
            true => Class::NotRead,
            false => Class::Foreign,
        }
    }

    /// Whether it may be a broken form of an object Weft reads, as opposed to one of a foreign kind.
    #[must_use]
    pub fn may_be_ours(&self) -> bool {
        !matches!(self, Stranger::UnknownKind { .. })
    }
}

/// The key of the object a document is about.
pub fn identify(document: &Document) -> Result<Key, Stranger> {
    let value = document.value();
    if !value.is_object() {
        return Err(Stranger::NotAMap);
    }
    let api_version = text(value, &["apiVersion"])?;
    let word = text(value, &["kind"])?;
    let kind = match Kind::recognise(api_version, word) {
        Recognised::Known(kind) => kind,
        Recognised::OtherVersion(kind) => {
            return Err(Stranger::OtherVersion {
                kind,
                api_version: api_version.to_owned(),
                accepted: kind.api_version(),
            });
        }
        Recognised::Unknown => {
            let (api_version, word) = (api_version.to_owned(), word.to_owned());
            return Err(Stranger::UnknownKind { api_version, word });
        }
    };
    let name = name(value, &["metadata", "name"])?;
    let namespace = match find(value, &["metadata", "namespace"]) {
        None | Some(Value::Null) => "",
        Some(_) => self::name(value, &["metadata", "namespace"])?,
    };
    Ok(Key::new(kind, namespace, name))
}

fn find<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

fn text<'a>(value: &'a Value, keys: &[&str]) -> Result<&'a str, Stranger> {
    let found = find(value, keys)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    found.ok_or_else(|| Stranger::Missing {
        path: Path::of_keys(keys),
    })
}

fn name<'a>(value: &'a Value, keys: &[&str]) -> Result<&'a str, Stranger> {
    let text = text(value, keys)?;
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
    };
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if bytes.len() <= 253
        && bytes.iter().copied().all(fits)
        && ends(bytes.first())
        && ends(bytes.last())
    {
        Ok(text)
    } else {
        Err(Stranger::BadName {
            path: Path::of_keys(keys),
            text: text.to_owned(),
        })
    }
}
