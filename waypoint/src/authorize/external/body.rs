//! Pure. How much of a body an authorization server is shown.

use bytes::Bytes;
use mesh::model::provider::AuthorizerBody;

/// The beginning of a body, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether more follows.
    pub is_partial: bool,
}

/// A body is longer than may be held back: the answer is 413.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is longer than the {limit} bytes that its authorization server reads")]
pub struct TooLong {
    /// Most bytes.
    pub limit: u32,
}

/// What is sent of a body of which `read` was read so far; `is_all` says whether that is all. `None` when more must be
/// read first.
///
/// # Errors
/// [`TooLong`] when it may not be cut.
pub fn part(settings: AuthorizerBody, read: &Bytes, is_all: bool) -> Result<Option<Part>, TooLong> {
    let limit = usize::try_from(settings.max_bytes).unwrap_or(usize::MAX);
    let fits = read.len() <= limit;
    match (fits, is_all) {
        (true, true) => Ok(Some(Part {
            bytes: read.clone(),
            is_partial: false,
        })),
        (true, false) if read.len() < limit || !settings.allow_partial => Ok(None),
        _ if settings.allow_partial => Ok(Some(Part {
            bytes: read.slice(..limit.min(read.len())),
            is_partial: true,
        })),
        _ => Err(TooLong {
            limit: settings.max_bytes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_sent_whole_cut_or_not_at_all() {
        let settings = |allow_partial| AuthorizerBody {
            max_bytes: 4,
            allow_partial,
            pack_as_bytes: false,
        };
        let whole = |text: &'static str, is_partial| {
            let bytes = Bytes::from_static(text.as_bytes());
            Ok(Some(Part { bytes, is_partial }))
        };
        let too_long = Err(TooLong { limit: 4 });
        for (allow_partial, read, is_all, expected) in [
            (false, "abc", true, whole("abc", false)),
            (false, "abcd", true, whole("abcd", false)),
            (false, "abcd", false, Ok(None)),
            (false, "abcde", false, too_long.clone()),
            (false, "abcde", true, too_long),
            (true, "abc", false, Ok(None)),
            (true, "abcd", false, whole("abcd", true)),
            (true, "abcde", true, whole("abcd", true)),
            (true, "", true, whole("", false)),
        ] {
            let read = Bytes::from_static(read.as_bytes());
            assert_eq!(
                part(settings(allow_partial), &read, is_all),
                expected,
                "{read:?}"
            );
        }
    }
}
