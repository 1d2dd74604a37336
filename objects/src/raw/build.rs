//! Pure. Parser events become values and marks.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::{Document, Error, ErrorKind, MAX_DEPTH, MAX_NODES, Mark, scalar};

/// The documents of a text without NUL characters.
pub(super) fn documents(text: &str) -> Result<Vec<Document>, Error> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| Error {
            mark: mark(error.marker()),
            kind: ErrorKind::Syntax {
                reason: error.info().to_owned(),
            },
        })?;
        let at = mark(&span.start);
        builder
            .take(event, at)
            .map_err(|kind| Error { mark: at, kind })?;
    }
    Ok(builder.documents)
}

fn mark(marker: &Marker) -> Mark {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Mark {
        line: narrow(marker.line()),
        column: narrow(marker.col()).saturating_add(1),
    }
}

/// A list or map that is not complete yet.
struct Frame {
    open: Open,
    anchor: usize,
    first_mark: usize,
}

enum Open {
    List(Vec<Value>),
    Map {
        map: Map<String, Value>,
        lines: HashMap<String, u32>,
        key: Option<(String, Mark)>,
    },
}

#[derive(Default)]
struct Builder {
    documents: Vec<Document>,
    stack: Vec<Frame>,
    marks: Vec<Mark>,
    anchors: HashMap<usize, (Value, Vec<Mark>)>,
    /// Nodes made so far, in all documents, copies counted.
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), ErrorKind> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.marks.clear();
                self.anchors.clear();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, (anchor, tag.as_deref()), at)
            }
            Event::SequenceStart(anchor, tag) => {
                expect_tag(tag.as_deref(), "seq")?;
                self.open(Open::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(anchor, tag) => {
                expect_tag(tag.as_deref(), "map")?;
                self.open(
                    Open::Map {
                        map: Map::new(),
                        lines: HashMap::new(),
                        key: None,
                    },
                    anchor,
                    at,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame {
                    open: Open::List(items),
                    anchor,
                    first_mark,
                }) => self.complete(Value::Array(items), anchor, first_mark),
                Some(Frame {
                    open: Open::Map { map, .. },
                    anchor,
                    first_mark,
                }) => self.complete(Value::Object(map), anchor, first_mark),
                None => Ok(()),
            },
        }
    }

    fn open(&mut self, open: Open, anchor: usize, at: Mark) -> Result<(), ErrorKind> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(ErrorKind::TooDeep);
        }
        if self.expects_key() {
            return Err(ErrorKind::ComplexKey);
        }
        let first_mark = self.mark_value(at)?;
        self.stack.push(Frame {
            open,
            anchor,
            first_mark,
        });
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        (anchor, tag): (usize, Option<&Tag>),
        at: Mark,
    ) -> Result<(), ErrorKind> {
        if self.expects_key() {
            return self.key(text, at);
        }
        let value = scalar_value(text, style, tag)?;
        let first_mark = self.mark_value(at)?;
        self.complete(value, anchor, first_mark)
    }

    fn alias(&mut self, anchor: usize, at: Mark) -> Result<(), ErrorKind> {
        let Some((value, marks)) = self.anchors.get(&anchor) else {
            return Err(ErrorKind::BadAlias);
        };
        self.nodes = self.nodes.saturating_add(marks.len());
        if self.nodes > MAX_NODES {
            return Err(ErrorKind::TooManyNodes);
        }
        let (value, rest) = (value.clone(), marks.get(1..).unwrap_or_default().to_vec());
        if self.expects_key() {
            return match value {
                Value::String(text) => self.key(&text, at),
                _ => Err(ErrorKind::ComplexKey),
            };
        }
        if self.stack.len() + depth(&value) > MAX_DEPTH {
            return Err(ErrorKind::TooDeep);
        }
        let first_mark = self.mark_value(at)?;
        self.marks.extend(rest);
        self.complete(value, 0, first_mark)
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                open: Open::Map { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: &str, at: Mark) -> Result<(), ErrorKind> {
        let Some(Frame {
            open: Open::Map { lines, key, .. },
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        if text == "<<" {
            return Err(ErrorKind::MergeKey);
        }
        if let Some(first) = lines.insert(text.to_owned(), at.line) {
            return Err(ErrorKind::DuplicateKey {
                key: text.to_owned(),
                first,
            });
        }
        *key = Some((text.to_owned(), at));
        Ok(())
    }

    /// Notes where a value stands: at its key when it has one. Says which mark is its own.
    fn mark_value(&mut self, at: Mark) -> Result<usize, ErrorKind> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(ErrorKind::TooManyNodes);
        }
        let at = match self.stack.last() {
            Some(Frame {
                open:
                    Open::Map {
                        key: Some((_, key_mark)),
                        ..
                    },
                ..
            }) => *key_mark,
            _ => at,
        };
        self.marks.push(at);
        Ok(self.marks.len() - 1)
    }

    /// Puts a complete value where it belongs: under its key, into its list, or out as a document.
    fn complete(
        &mut self,
        value: Value,
        anchor: usize,
        first_mark: usize,
    ) -> Result<(), ErrorKind> {
        if anchor != 0 {
            let marks = self.marks.get(first_mark..).unwrap_or_default().to_vec();
            self.nodes = self.nodes.saturating_add(marks.len());
            if self.nodes > MAX_NODES {
                return Err(ErrorKind::TooManyNodes);
            }
            self.anchors.insert(anchor, (value.clone(), marks));
        }
        match self.stack.last_mut().map(|frame| &mut frame.open) {
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map { map, key, .. }) => {
                if let Some((key, _)) = key.take() {
                    map.insert(key, value);
                }
            }
            None if value.is_null() => self.marks.clear(),
            None => {
                let marks = std::mem::take(&mut self.marks).into_boxed_slice();
                self.documents.push(Document { value, marks });
            }
        }
        Ok(())
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, ErrorKind> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => scalar::plain(text),
            _ => Value::String(text.to_owned()),
        });
    };
    if tag.handle.is_empty() && tag.suffix == "!" {
        return Ok(Value::String(text.to_owned()));
    }
    if !tag.is_yaml_core_schema() {
        return Err(ErrorKind::Tag {
            tag: tag.to_string(),
        });
    }
    let value = match tag.suffix.as_str() {
        "str" => return Ok(Value::String(text.to_owned())),
        "bool" | "null" | "int" | "float" => scalar::plain(text),
        _ => {
            return Err(ErrorKind::Tag {
                tag: tag.to_string(),
            });
        }
    };
    let fits = match tag.suffix.as_str() {
        "bool" => value.is_boolean(),
        "null" => value.is_null(),
        "int" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    };
    if fits {
        Ok(value)
    } else {
        Err(ErrorKind::NotAsTagged {
            tag: tag.to_string(),
        })
    }
}

fn expect_tag(tag: Option<&Tag>, name: &str) -> Result<(), ErrorKind> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == name) => Err(ErrorKind::Tag {
            tag: tag.to_string(),
        }),
        _ => Ok(()),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
