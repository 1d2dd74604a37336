//! Pure. Patterns over single texts.

use crate::authz::template;
use crate::model::{PathPattern, StringMatch};

pub(super) fn matches_text(pattern: &StringMatch, text: &str) -> bool {
    match pattern {
        StringMatch::Exact(it) => text == &**it,
        StringMatch::Prefix(it) => text.starts_with(&**it),
        StringMatch::Suffix(it) => text.ends_with(&**it),
        StringMatch::Presence => !text.is_empty(),
    }
}

/// The same over what need not be text.
pub(super) fn matches_bytes(pattern: &StringMatch, bytes: &[u8]) -> bool {
    match pattern {
        StringMatch::Exact(it) => bytes == it.as_bytes(),
        StringMatch::Prefix(it) => bytes.starts_with(it.as_bytes()),
        StringMatch::Suffix(it) => bytes.ends_with(it.as_bytes()),
        StringMatch::Presence => !bytes.is_empty(),
    }
}

/// The same where the case of ASCII letters does not count.
pub(super) fn matches_host(pattern: &StringMatch, host: &str) -> bool {
    let host = host.as_bytes();
    let is = |part: Option<&[u8]>, it: &str| {
        part.is_some_and(|part| part.eq_ignore_ascii_case(it.as_bytes()))
    };
    match pattern {
        StringMatch::Exact(it) => is(Some(host), it),
        StringMatch::Prefix(it) => is(host.get(..it.len()), it),
        StringMatch::Suffix(it) => {
            let start = host.len().checked_sub(it.len());
            is(start.and_then(|start| host.get(start..)), it)
        }
        StringMatch::Presence => !host.is_empty(),
    }
}

pub(super) fn matches_path(pattern: &PathPattern, path: &str) -> bool {
    match pattern {
        PathPattern::Text(pattern) => matches_text(pattern, path),
        PathPattern::Template(it) => template::matches(it, path),
    }
}
