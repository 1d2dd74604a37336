//! Pure. YAML (and so JSON) bytes become documents that know the line of every field.
//!
//! Read as Kubernetes reads them, in one respect more strictly: a key given twice is an error. Of YAML 1.1's
//! words for true and false only `true` and `false` count; `yes`, `no`, `on`, `off` stay text, which is what
//! a field of type string wants. Anchors are resolved by copying within the node limit; merge keys (`<<`)
//! and tags beyond the core ones are refused. Input of any shape gives an answer or an [`Error`].

mod build;
mod scalar;
mod error;
pub mod path;

use std::fmt;

use serde_json::Value;

pub use error::{Error, ErrorKind};
pub use path::{Path, Step};

/// Longest input taken, in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// Deepest nesting taken.
pub const MAX_DEPTH: usize = 100;
/// Most nodes in one input, copies made by aliases counted.
pub const MAX_NODES: usize = 2_000_000;

/// A position in a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 when unknown.
    pub column: u32,
}

/// One document: a value, and the mark of every value in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    value: Value,
    marks: Box<[Mark]>,
}

/// A document at rest: a few bytes per field instead of a tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed {
    json: Box<str>,
    marks: Box<[Mark]>,
}

/// The documents of a file, in order; empty ones are left out.
pub fn parse(bytes: &[u8]) -> Result<Vec<Document>, Error> {
    let whole = |kind| Error {
        mark: Mark::default(),
        kind,
    };
    if bytes.len() > MAX_BYTES {
        return Err(whole(ErrorKind::TooLong));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Error {
        mark: Mark {
            line: line_at(bytes, error.valid_up_to()),
            column: 0,
        },
        kind: ErrorKind::NotUtf8,
    })?;
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(Error {
            mark: Mark {
                line: line_at(bytes, at),
                column: 0,
            },
            kind: ErrorKind::Nul,
        });
    }
    build::documents(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl Document {
    /// A document that came from elsewhere than a file; no field has a line.
    #[must_use]
    pub fn without_lines(value: Value) -> Document {
        Document {
            value,
            marks: Box::default(),
        }
    }

    /// The document as JSON.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where a field stands (the key of a map's entry, the start of a list's item), or the nearest thing
    /// around it that exists: a missing field is reported at its parent.
    #[must_use]
    pub fn mark_of(&self, path: &Path) -> Mark {
        let (mut node, mut index) = (&self.value, 0);
        for step in path.steps() {
            let Some((child, offset)) = enter(node, step) else {
                break;
            };
            node = child;
            index += offset;
        }
        self.marks.get(index).copied().unwrap_or_default()
    }

    /// The line of a field; see [`Document::mark_of`]. 0 when the document did not come from a file.
    #[must_use]
    pub fn line_of(&self, path: &Path) -> u32 {
        self.mark_of(path).line
    }

    /// The line the document starts at.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line_of(&Path::default())
    }

    /// What stands at a field, as a document of its own with the same lines; `None` when nothing does.
    #[must_use]
    pub fn part(&self, path: &Path) -> Option<Document> {
        let (mut node, mut index) = (&self.value, 0);
        for step in path.steps() {
            let (child, offset) = enter(node, step)?;
            node = child;
            index += offset;
        }
        let marks = self.marks.get(index..index + size(node));
        Some(Document {
            value: node.clone(),
            marks: marks.unwrap_or_default().into(),
        })
    }

    /// The documents in the list under `key`, which share nothing with this one any more; `None` when
    /// there is no such list. (A Kubernetes `List` holds whole objects.)
    #[must_use]
    pub fn into_items(mut self, key: &str) -> Option<Vec<Document>> {
        let (list, offset) = enter(&self.value, &Step::Key(key.to_owned()))?;
        let mut index = offset + 1;
        let sizes: Vec<usize> = list.as_array()?.iter().map(size).collect();
        let Some(Value::Array(items)) = self.value.get_mut(key).map(Value::take) else {
            return None;
        };
        let mut documents = Vec::with_capacity(items.len());
        for (value, size) in items.into_iter().zip(sizes) {
            let marks = self
                .marks
                .get(index..index + size)
                .unwrap_or_default()
                .into();
            documents.push(Document { value, marks });
            index += size;
        }
        Some(documents)
    }
}

impl Document {
    /// The same at rest.
    #[must_use]
    pub fn pack(self) -> Packed {
        Packed {
            json: self.value.to_string().into_boxed_str(),
            marks: self.marks,
        }
    }
}

impl Packed {
    /// The document again.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the text was written from a value when it was packed"
    )]
    pub fn unpack(&self) -> Document {
        let value = serde_json::from_str(&self.json).expect("packed text is JSON");
        Document {
            value,
            marks: self.marks.clone(),
        }
    }

    /// The line the document starts at; 0 when it did not come from a file.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.marks.first().map_or(0, |mark| mark.line)
    }
}

/// Says where, never what: the document may hold a secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("line", &self.line())
            .finish_non_exhaustive()
    }
}

/// Says how much, never what: the document may hold a secret.
impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed")
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// The child a step leads to, and how many nodes lie between a node and that child in document order.
fn enter<'a>(node: &'a Value, step: &Step) -> Option<(&'a Value, usize)> {
    let mut offset = 1;
    match (node, step) {
        (Value::Object(map), Step::Key(wanted)) => {
            for (key, value) in map {
                if key == wanted {
                    return Some((value, offset));
                }
                offset += size(value);
            }
            None
        }
        (Value::Array(items), Step::Index(wanted)) => {
            let child = items.get(*wanted)?;
            offset += items.iter().take(*wanted).map(size).sum::<usize>();
            Some((child, offset))
        }
        _ => None,
    }
}

/// How many nodes a value has, itself counted.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn line_at(bytes: &[u8], end: usize) -> u32 {
    let before = bytes.get(..end).unwrap_or(bytes);
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests;
