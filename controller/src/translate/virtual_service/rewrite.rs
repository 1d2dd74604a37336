//! Pure. Changes of host and path.

use mesh::model::http::{PathMatch, PathRewrite, Rewrite};
use objects::istio::virtual_service::Rewrite as Written;
use objects::raw::Path;

use super::Reader;
use crate::translate::pattern;

/// What the path becomes depends on what it matched: a prefix is replaced letter by letter, also the `/` of every
/// path when nothing is asked of it; otherwise the whole is.
pub(super) fn read(
    written: &Written,
    matched: Option<&PathMatch>,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Rewrite {
    let has_uri = !written.uri.is_empty();
    let path_rewrite = match (&written.uri_regex_rewrite, has_uri) {
        (Some(_), true) => {
            reader.invalid(path.clone(), "either uri or uriRegexRewrite");
            None
        }
        (Some(regex), false) => {
            let at = path.clone().key("uriRegexRewrite");
            if let Some(complaint) = pattern::complaint(&regex.r#match) {
                reader.invalid(at.clone().key("match"), complaint);
            }
            if regex.r#match.is_empty() {
                reader.invalid(at.key("match"), "an expression");
            }
            Some(PathRewrite::Regex {
                regex: regex.r#match.as_str().into(),
                replacement: regex.rewrite.as_str().into(),
            })
        }
        (None, true) => Some(match matched {
            Some(PathMatch::Prefix(prefix)) => by_prefix(prefix, &written.uri),
            None => by_prefix("/", &written.uri),
            Some(_) => PathRewrite::Full(written.uri.as_str().into()),
        }),
        (None, false) => None,
    };
    let has_regex = written.uri_regex_rewrite.is_some();
    if !has_uri && !has_regex && written.authority.is_empty() {
        reader.invalid(path.clone(), "one of uri, uriRegexRewrite and authority");
    }
    Rewrite {
        host: written.authority.as_str().into(),
        path: path_rewrite,
    }
}

fn by_prefix(prefix: &str, uri: &str) -> PathRewrite {
    PathRewrite::Prefix {
        prefix: prefix.into(),
        replacement: uri.into(),
    }
}
