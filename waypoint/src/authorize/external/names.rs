//! Pure. Which headers pass between request, authorization server and client.

use std::sync::Arc;

use ::http::HeaderName;
use ::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

/// Headers that no answer may touch: they say where a message ends, or whom it is for.
const UNTOUCHABLE: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Whether an answer may set or remove this header.
pub(super) fn is_touchable(name: &HeaderName) -> bool {
    !UNTOUCHABLE.contains(name)
        && name.as_str() != "keep-alive"
        && name.as_str() != "proxy-connection"
}

/// Whether any of the patterns (exact, `prefix*`, `*suffix`, `*`) is about a header; case does not count.
pub(super) fn is_among(patterns: &[Arc<str>], name: &HeaderName) -> bool {
    patterns.iter().any(|pattern| {
        let pattern = pattern.to_ascii_lowercase();
        let name = name.as_str();
        match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
            (Some(prefix), _) if !prefix.contains('*') => name.starts_with(prefix),
            (_, Some(suffix)) => name.ends_with(suffix),
            _ => name == pattern,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_exact_or_open_at_one_end() {
        for (pattern, name, expected) in [
            ("x-user", "x-user", true),
            ("X-User", "x-user", true),
            ("x-user", "x-user-id", false),
            ("x-*", "x-user", true),
            ("*-id", "x-user-id", true),
            ("*-id", "x-user", false),
            ("*", "anything", true),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(
                is_among(&[pattern.into()], &name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn what_frames_a_message_is_never_touched() {
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "keep-alive",
        ] {
            assert!(!is_touchable(&HeaderName::from_static(name)), "{name}");
        }
        assert!(is_touchable(&HeaderName::from_static("authorization")));
    }
}
