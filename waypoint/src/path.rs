//! Pure. Paths made uniform before policies and routes see them; what comes out goes to the application.
//! Source: docs/compat.md#path-normalization.

use std::borrow::Cow;

use mesh::model::waypoint::PathNormalization;

/// A path that means different things to different readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path holds an escaped zero byte or a fragment, or is not absolute")]
pub struct BadPath;

/// Makes `path` (without query) uniform. Doing it again changes nothing.
///
/// # Errors
/// [`BadPath`].
pub fn normalize(path: &str, how: PathNormalization) -> Result<Cow<'_, str>, BadPath> {
    if path == "*" {
        return Ok(Cow::Borrowed(path));
    }
    if !path.starts_with('/') || path.contains('#') || path.contains("%00") {
        return Err(BadPath);
    }
    let merges = match how {
        PathNormalization::None => return Ok(Cow::Borrowed(path)),
        PathNormalization::Base => false,
        PathNormalization::MergeSlashes | PathNormalization::DecodeAndMergeSlashes => true,
    };
    if is_uniform(path, merges) {
        return Ok(Cow::Borrowed(path));
    }
    let slashes = how == PathNormalization::DecodeAndMergeSlashes;
    let mut text = path.to_owned();
    loop {
        let next = resolve(&unescape(&text, slashes).replace('\\', "/"), merges);
        if next.contains("%00") {
            return Err(BadPath);
        }
        // What was half an escape may have become a whole one; every round makes it shorter.
        if next == text {
            return Ok(Cow::Owned(next));
        }
        text = next;
    }
}

fn is_uniform(path: &str, merges: bool) -> bool {
    let has_double = merges && path.contains("//");
    !(path.contains(['%', '\\']) || path.contains("/.") || has_double)
}

/// Decodes letters, digits and `-._~`; with `slashes` also slashes and backslashes.
fn unescape(text: &str, slashes: bool) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| {
        let digit = char::from(*bytes.get(at)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| Some(digit(at + 1)? << 4 | digit(at + 2)?))
            .flatten();
        let decoded = escaped.filter(|it| {
            it.is_ascii_alphanumeric()
                || b"-._~".contains(it)
                || (slashes && matches!(it, b'/' | b'\\'))
        });
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    // Only ASCII was put in where ASCII was taken out.
    String::from_utf8_lossy(&out).into_owned()
}

/// Resolves dot segments (RFC 3986, 5.2.4).
fn resolve(path: &str, merges: bool) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            "" if merges && !is_last => {}
            segment => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
    use proptest::prelude::*;

    #[test]
    fn the_four_ways() {
        for (path, how, expected) in [
            ("/a/../b", None, "/a/../b"),
            ("/a/../b", Base, "/b"),
            ("/a/./b/", Base, "/a/b/"),
            ("/a/%2e%2E/b", Base, "/b"),
            ("/../../b", Base, "/b"),
            ("/a/..", Base, "/"),
            ("/a/.", Base, "/a/"),
            ("/a\\b", Base, "/a/b"),
            ("/%41%7e", Base, "/A~"),
            ("/a%2fb%5Cc", Base, "/a%2fb%5Cc"),
            ("//a//b", Base, "//a//b"),
            ("//a//b", MergeSlashes, "/a/b"),
            ("/a/b//", MergeSlashes, "/a/b/"),
            ("/a%2f%2Fb", MergeSlashes, "/a%2f%2Fb"),
            ("/a%2f%2Fb%5c%2e%2e/c", DecodeAndMergeSlashes, "/a/c"),
            ("/%%341", Base, "/A"),
            ("/a/...", Base, "/a/..."),
            ("*", Base, "*"),
        ] {
            assert_eq!(normalize(path, how).unwrap(), expected, "{path} {how:?}");
        }
        for bad in ["", "a", "/a%00", "/a#b", "/%%300"] {
            assert_eq!(normalize(bad, Base), Err(BadPath), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_second_time_changes_nothing(path in "/[a.%/2eEfF5c\\\\]{0,20}") {
            for how in [None, Base, MergeSlashes, DecodeAndMergeSlashes] {
                if let Ok(once) = normalize(&path, how) {
                    prop_assert_eq!(normalize(&once, how), Ok(once.clone()));
                }
            }
        }

        #[test]
        fn nothing_climbs_out(path in "/([ab./]|%2e|%2f|%5c){0,20}") {
            let uniform = normalize(&path, DecodeAndMergeSlashes).unwrap();
            prop_assert!(uniform.split('/').all(|it| it != ".." && it != "."), "{}", uniform);
        }
    }
}
