//! Pure. A new path for a request or a redirect: whole, by prefix, by expression. The query is kept.

use std::borrow::Cow;
use std::sync::Arc;

use mesh::model::http::PathRewrite;
use regex::Regex;

use crate::matcher::{BadMatch, anywhere};

/// A path rewrite, compiled.
#[derive(Clone, Debug)]
pub enum NewPath {
    /// Instead of the whole.
    Full(Arc<str>),
    /// Instead of a prefix of whole elements.
    Elements {
        /// The prefix.
        prefix: Arc<str>,
        /// What stands instead.
        replacement: Arc<str>,
    },
    /// Instead of a prefix of letters.
    Prefix {
        /// The prefix.
        prefix: Arc<str>,
        /// What stands instead.
        replacement: Arc<str>,
    },
    /// Everything that matches.
    Regex {
        /// The expression.
        regex: Regex,
        /// What stands instead, in the words of the `regex` crate.
        replacement: Box<str>,
    },
}

impl NewPath {
    /// Compiles it.
    ///
    /// # Errors
    /// [`BadMatch`] when the expression cannot be used.
    pub fn new(model: &PathRewrite) -> Result<Self, BadMatch> {
        Ok(match model {
            PathRewrite::Full(path) => Self::Full(Arc::clone(path)),
            PathRewrite::Elements {
                prefix,
                replacement,
            } => Self::Elements {
                prefix: Arc::clone(prefix),
                replacement: Arc::clone(replacement),
            },
            PathRewrite::Prefix {
                prefix,
                replacement,
            } => Self::Prefix {
                prefix: Arc::clone(prefix),
                replacement: Arc::clone(replacement),
            },
            PathRewrite::Regex { regex, replacement } => Self::Regex {
                regex: anywhere(regex)?,
                replacement: groups(replacement).into(),
            },
        })
    }

    /// The new path; what the rewrite does not fit stays as it is.
    pub fn of<'a>(&'a self, path: &'a str) -> Cow<'a, str> {
        match self {
            Self::Full(new) => Cow::Borrowed(new),
            Self::Elements {
                prefix,
                replacement,
            } => elements(path, prefix, replacement),
            Self::Prefix {
                prefix,
                replacement,
            } => match path.get(prefix.len()..) {
                Some(rest) => Cow::Owned(format!("{replacement}{rest}")),
                None => Cow::Borrowed(path),
            },
            Self::Regex { regex, replacement } => regex.replace_all(path, &**replacement),
        }
    }
}

/// `/foo/bar` with `/foo` replaced: elements stay whole, whatever slashes the replacement ends with.
fn elements<'a>(path: &'a str, prefix: &str, replacement: &str) -> Cow<'a, str> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let Some(rest) = path.get(prefix.len()..) else {
        return Cow::Borrowed(path);
    };
    let new = replacement.strip_suffix('/').unwrap_or(replacement);
    if rest.is_empty() {
        let alone = if new.is_empty() { "/" } else { new };
        return Cow::Owned(alone.to_owned());
    }
    Cow::Owned(format!("{new}{rest}"))
}

/// `\1` becomes `${1}`, and a dollar sign stands for itself.
fn groups(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len());
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '$' => out.push_str("$$"),
            '\\' => match letters.peek().copied() {
                Some(digit) if digit.is_ascii_digit() => {
                    letters.next();
                    out.push_str(&format!("${{{digit}}}"));
                }
                Some('\\') => {
                    letters.next();
                    out.push('\\');
                }
                _ => out.push('\\'),
            },
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_elements_are_replaced_whole() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/bar", "", "/xyz", "/xyz/bar"),
            ("/", "", "/xyz", "/xyz/"),
        ] {
            let rewrite = NewPath::Elements {
                prefix: prefix.into(),
                replacement: replacement.into(),
            };
            assert_eq!(rewrite.of(path), expected, "{path} {prefix} {replacement}");
        }
    }

    #[test]
    fn other_forms() {
        let rewrite =
            |model: PathRewrite, path: &str| NewPath::new(&model).unwrap().of(path).into_owned();
        let prefix = PathRewrite::Prefix {
            prefix: "/v2".into(),
            replacement: "/v3".into(),
        };
        assert_eq!(rewrite(prefix, "/v2example"), "/v3example");
        assert_eq!(rewrite(PathRewrite::Full("/x".into()), "/any/thing"), "/x");
        let regex = PathRewrite::Regex {
            regex: "^/service/([^/]+)(/.*)$".into(),
            replacement: "\\2/$instance/\\1".into(),
        };
        assert_eq!(
            rewrite(regex, "/service/foo/v1/api"),
            "/v1/api/$instance/foo"
        );
    }
}
