//! Pure. Whether a waypoint can use a regular expression, or a text as the name or value of a header: one that it cannot
//! use must be told here, and must not take the rest of a service's routes with it.

use http::header::{HeaderName, HeaderValue};
use regex::RegexBuilder;

/// Largest compiled form, in bytes; beyond it an expression costs more than it can be worth.
const MAX_BYTES: usize = 1 << 20;

/// Why an expression cannot be used. It is matched as a whole, in time that grows with the text alone: look-around and
/// back references do not exist.
pub fn complaint(expression: &str) -> Option<String> {
    let whole = format!("^(?:{expression})$");
    let built = RegexBuilder::new(&whole).size_limit(MAX_BYTES).build();
    let error = built.err()?;
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => other.to_string(),
    };
    let last = reason.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ").to_owned();
    Some(format!("`{expression}` is no regular expression: {last}"))
}

/// The text as an expression that matches nothing else.
pub fn escape(text: &str) -> String {
    regex::escape(text)
}

/// A header's name in lower case; `None` for what none can have.
pub fn header_name(text: &str) -> Option<String> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
    Some(name.as_str().to_owned())
}

/// Whether a header can have this value.
pub fn is_header_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{complaint, escape, header_name};

    #[test]
    fn takes_what_waypoints_take() {
        for good in ["", "a.*", "^/v[0-9]+$", "(?i)a|b", r"\d+/\w"] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in ["(", "*", "(?=a)", r"(a)\1", "a{1000}{1000}{1000}"] {
            assert!(complaint(bad).is_some_and(|it| it.contains(bad)), "{bad}");
        }
    }

    #[test]
    fn only_what_can_be_a_header_passes() {
        assert_eq!(escape("a.b"), "a\\.b");
        assert_eq!(header_name("X-One"), Some("x-one".to_owned()));
        assert_eq!(header_name("x one"), None);
        assert_eq!(header_name(":path"), None);
    }
}
