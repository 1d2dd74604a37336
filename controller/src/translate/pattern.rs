//! Pure. Whether a waypoint can use a regular expression, or a text as the name or value of a header: one that it cannot
//! use must be told here, and must not take the rest of a service's routes with it.

use http::header::{HeaderName, HeaderValue};
use regex::RegexBuilder;

/// Largest compiled expression of a waypoint, in bytes.
const SIZE: usize = 1 << 20;

/// Why an expression cannot be used, as a whole match.
pub fn complaint(text: &str) -> Option<String> {
    let whole = RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(SIZE)
        .build();
    match whole {
        Ok(_) => None,
        Err(regex::Error::CompiledTooBig(_)) => Some(format!("{text:?} is too large")),
        Err(_) => Some(format!("{text:?} is no regular expression")),
    }
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
    fn only_what_can_be_used_passes() {
        for good in ["/a.*", "v[12]", "", "a|b"] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in ["(", "[z-a]", "(?=a)", "\\1", "(a{1000}){1000}"] {
            assert!(complaint(bad).is_some(), "{bad}");
        }
        assert_eq!(escape("a.b"), "a\\.b");
        assert_eq!(header_name("X-One"), Some("x-one".to_owned()));
        assert_eq!(header_name("x one"), None);
        assert_eq!(header_name(":path"), None);
    }
}
