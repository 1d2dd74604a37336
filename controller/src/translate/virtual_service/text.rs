//! Pure. StringMatch in the mesh's words.

use mesh::model::http::{PathMatch, TextMatch};
use objects::istio::StringMatch;
use objects::raw::Path;

use super::Reader;
use crate::translate::pattern;

/// A condition on a text; one that says nothing only asks that the text is there.
pub(super) fn read(text: &StringMatch, path: &Path, reader: &mut Reader<'_>) -> TextMatch {
    check(text, path, reader);
    match (&text.exact, &text.prefix, text.regex.as_deref()) {
        (Some(exact), _, _) => TextMatch::Exact(exact.as_str().into()),
        (_, Some(prefix), _) if !prefix.is_empty() => TextMatch::Prefix(prefix.as_str().into()),
        (_, None, Some(regex)) if regex != "*" => TextMatch::Regex(regex.into()),
        _ => TextMatch::Present,
    }
}

/// A condition on something that every request has; `None` when any will do.
pub(super) fn always(
    text: Option<&StringMatch>,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<TextMatch> {
    let read = read(text?, path, reader);
    (read != TextMatch::Present).then_some(read)
}

/// A condition on the path; `None` when any will do.
pub(super) fn path(
    text: Option<&StringMatch>,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<PathMatch> {
    match always(text, path, reader)? {
        TextMatch::Exact(text) => Some(PathMatch::Exact(text)),
        TextMatch::Prefix(text) => Some(PathMatch::Prefix(text)),
        TextMatch::Regex(text) => Some(PathMatch::Regex(text)),
        TextMatch::Present => None,
    }
}

fn check(text: &StringMatch, path: &Path, reader: &mut Reader<'_>) {
    let there = [
        text.exact.is_some(),
        text.prefix.is_some(),
        text.regex.is_some(),
    ];
    if there.iter().filter(|it| **it).count() > 1 {
        reader.invalid(path.clone(), "only one of exact, prefix and regex");
    }
    let regex = text.regex.as_deref().filter(|it| *it != "*");
    if let Some(complaint) = regex.and_then(pattern::complaint) {
        reader.invalid(path.clone().key("regex"), complaint);
    }
}
