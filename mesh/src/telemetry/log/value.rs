//! Pure. Collects one event's message and fields, each as text or JSON. Numbers and addresses stand bare in text, all else
//! is quoted.

use std::fmt::{Debug, Write};
use std::net::{IpAddr, SocketAddr};

use tracing::field::{Field, Visit};

/// An event in the making.
pub(super) struct Collected {
    is_json: bool,
    /// What happened.
    pub(super) message: String,
    /// ` k=v` or `,"k":v` for every field, in order.
    pub(super) fields: String,
}

impl Collected {
    pub(super) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            message: String::new(),
            fields: String::with_capacity(512),
        }
    }

    fn put(&mut self, field: &Field, text: &str, is_bare: bool) {
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.is_json {
            self.fields.push(',');
            quote(&mut self.fields, name);
            self.fields.push(':');
        } else {
            if !self.fields.is_empty() {
                self.fields.push(' ');
            }
            self.fields.push_str(name);
            self.fields.push('=');
        }
        if is_bare {
            self.fields.push_str(text);
        } else {
            quote(&mut self.fields, text);
        }
    }

    fn put_number(&mut self, field: &Field, number: impl std::fmt::Display) {
        self.put(field, &number.to_string(), true);
    }
}

/// Quoted as JSON does, which text lines do too: quotes, backslashes and control characters are
/// escaped, so that no value can look like another field or another line.
pub(super) fn quote(into: &mut String, text: &str) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            control if control.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(into, "\\u{:04x}", u32::from(control));
            }
            plain => into.push(plain),
        }
    }
    into.push('"');
}

/// Whether a value that was printed is a number or an address, and not just any text.
fn is_plain(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
        || text.parse::<SocketAddr>().is_ok()
        || text.parse::<IpAddr>().is_ok()
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else if self.is_json {
            self.put(field, &text, false);
        } else {
            self.put(field, &text, is_plain(&text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, value, false);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_number(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put_number(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put_number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Infinity is not a JSON number.
        self.put(field, &value.to_string(), value.is_finite());
    }
}
