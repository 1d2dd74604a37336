//! Pure. Formats of lines, read into pieces that only have to be written one after the other.

use serde_json::Value as Json;

use super::operator::{self, Field, Names, Operator};
use super::standard;

/// Deepest nesting of a JSON format.
const DEPTH: usize = 16;

/// Why a format is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operator is not supported.
    #[error("operator %{0}% is not supported")]
    Unknown(Box<str>),
    /// A percent sign has no partner.
    #[error("a percent sign has no second one after {0:?}; a plain one is written %%")]
    Open(Box<str>),
    /// An operator's argument is not understood.
    #[error("operator %{operator}%: {why}")]
    Argument {
        /// The operator.
        operator: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
    /// A JSON format is no JSON.
    #[error("the format is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// A JSON format is another value than an object.
    #[error("the format is not a JSON object")]
    NoObject,
    /// A JSON format is nested too deeply.
    #[error("the format is nested more than {DEPTH} levels deep")]
    Deep,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a line of text; `-` when absent.
    Text,
    /// A whole JSON value; `null` when absent, a number where it is one.
    JsonValue,
    /// Part of a JSON string that is open; `-` when absent.
    JsonPart,
}

/// One piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Literal(Box<str>),
    /// A value.
    Value(Field, Form),
}

/// A format, ready to be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// In order; a line end is among them.
    pub pieces: Vec<Piece>,
    /// Names of the request's headers, by number, lower case.
    pub request: Vec<Box<str>>,
    /// Names of the answer's headers, by number.
    pub response: Vec<Box<str>>,
    /// Names of the answer's trailers, by number.
    pub trailers: Vec<Box<str>>,
}

impl Format {
    /// Reads a format of text; empty is the standard one. It ends with a line end, whatever it says.
    ///
    /// # Errors
    /// Names the operator that is not understood.
    pub fn text(format: &str) -> Result<Self, Error> {
        let mut all = Self::default();
        let format = if format.is_empty() {
            standard::TEXT
        } else {
            format
        };
        all.template(format.trim_end_matches('\n'), Form::Text)?;
        all.literal("\n");
        Ok(all)
    }

    /// Reads a JSON object whose strings are formats; empty is the standard one.
    ///
    /// # Errors
    /// When it is not an object, or names the operator that is not understood.
    pub fn json(format: &str) -> Result<Self, Error> {
        let mut all = Self::default();
        let object = if format.is_empty() {
            let fields = standard::JSON.map(|(key, value)| (key.to_owned(), value.into()));
            Json::Object(fields.into_iter().collect())
        } else {
            serde_json::from_str(format)?
        };
        if !object.is_object() {
            return Err(Error::NoObject);
        }
        all.value(&object, 0)?;
        all.literal("\n");
        Ok(all)
    }

    fn value(&mut self, value: &Json, depth: usize) -> Result<(), Error> {
        if depth >= DEPTH {
            return Err(Error::Deep);
        }
        match value {
            Json::Object(fields) => {
                let mut before = "{";
                for (key, value) in fields {
                    self.literal(before);
                    before = ",";
                    self.literal(&Json::from(key.as_str()).to_string());
                    self.literal(":");
                    self.value(value, depth + 1)?;
                }
                self.literal(if fields.is_empty() { "{}" } else { "}" });
            }
            Json::Array(items) => {
                let mut before = "[";
                for item in items {
                    self.literal(before);
                    before = ",";
                    self.value(item, depth + 1)?;
                }
                self.literal(if items.is_empty() { "[]" } else { "]" });
            }
            Json::String(template) => self.json_text(template)?,
            plain => self.literal(&plain.to_string()),
        }
        Ok(())
    }

    /// A string of a JSON format: one operator alone keeps its type.
    fn json_text(&mut self, template: &str) -> Result<(), Error> {
        let inner = template
            .strip_prefix('%')
            .and_then(|rest| rest.strip_suffix('%'));
        match inner {
            Some(inner) if !inner.is_empty() && end_of(inner).is_none() => {
                self.operator(inner, Form::JsonValue)
            }
            _ => {
                self.literal("\"");
                self.template(template, Form::JsonPart)?;
                self.literal("\"");
                Ok(())
            }
        }
    }

    fn template(&mut self, mut rest: &str, form: Form) -> Result<(), Error> {
        while let Some((before, after)) = rest.split_once('%') {
            self.literal_in(before, form);
            if let Some(after) = after.strip_prefix('%') {
                self.literal("%");
                rest = after;
                continue;
            }
            let end = end_of(after).ok_or_else(|| Error::Open(before.into()))?;
            let (inner, after) = after.split_at(end);
            self.operator(inner, form)?;
            rest = after.strip_prefix('%').unwrap_or(after);
        }
        self.literal_in(rest, form);
        Ok(())
    }

    fn operator(&mut self, text: &str, form: Form) -> Result<(), Error> {
        let mut names = Names {
            request: &mut self.request,
            response: &mut self.response,
            trailers: &mut self.trailers,
        };
        let field = operator::read(text, &mut names)?;
        self.pieces.push(Piece::Value(field, form));
        Ok(())
    }

    fn literal_in(&mut self, text: &str, form: Form) {
        if form == Form::JsonPart {
            let quoted = Json::from(text).to_string();
            self.literal(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        } else {
            self.literal(text);
        }
    }

    fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Literal(last)) = self.pieces.last_mut() {
            *last = format!("{last}{text}").into();
        } else {
            self.pieces.push(Piece::Literal(text.into()));
        }
    }

    /// Variables of the environment that the format names; the caller reads them once.
    pub fn environment(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(field, _) => match &field.operator {
                Operator::Environment(name) => Some(&**name),
                _ => None,
            },
            Piece::Literal(_) => None,
        })
    }
}

/// Where the operator that `text` begins with ends: at a percent sign outside of parentheses.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        byte == b'%' && depth == 0
    })
}

#[cfg(test)]
mod tests;
