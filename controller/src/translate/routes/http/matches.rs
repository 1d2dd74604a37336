//! Pure. Conditions on requests, and how exact they are.

use std::cmp::Reverse;

use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};
use objects::gateway_api::http_route as written;
use objects::raw::Path;

use crate::translate::pattern;
use crate::translate::routes::entry::is_default;
use crate::translate::routes::precedence::{PathRank, Rank};

/// The field that cannot be read, and why.
pub(super) type Unreadable = (Path, String);

pub(super) fn read(one: &written::HttpMatch, path: &Path) -> Result<(Rank, HttpMatch), Unreadable> {
    let condition = path_match(one.path.as_ref(), &path.clone().key("path"))?;
    let matches = HttpMatch {
        method: method(one.method.as_deref(), path)?,
        headers: headers(&one.headers, &path.clone().key("headers"))?,
        query: query(&one.query_params, &path.clone().key("queryParams"))?,
        ..HttpMatch::default()
    };
    let (kind, length) = match &condition {
        PathMatch::Exact(text) => (PathRank::Exact, text.len()),
        PathMatch::Elements(text) if text.is_empty() => (PathRank::Any, 0),
        PathMatch::Elements(text) | PathMatch::Prefix(text) => (PathRank::Elements, text.len()),
        PathMatch::Regex(text) => (PathRank::Regex, text.len()),
    };
    let rank = Rank {
        path: kind,
        length: Reverse(length),
        method_length: Reverse(0),
        has_method: Reverse(matches.method.is_some()),
        headers: Reverse(matches.headers.len()),
        query: Reverse(matches.query.len()),
    };
    let matches = HttpMatch {
        path: (kind != PathRank::Any).then_some(condition),
        ..matches
    };
    Ok((rank, matches))
}

/// The prefix that a match asks for, without slash at its end.
pub(super) fn prefix(one: &written::HttpMatch) -> Option<String> {
    match path_match(one.path.as_ref(), &Path::default()) {
        Ok(PathMatch::Elements(prefix)) => Some(prefix.to_string()),
        _ => None,
    }
}

fn path_match(one: Option<&written::PathMatch>, path: &Path) -> Result<PathMatch, Unreadable> {
    let word = one.and_then(|it| it.r#type.as_deref());
    let value = one.and_then(|it| it.value.as_deref()).unwrap_or("/");
    let at = |key: &str| path.clone().key(key);
    if matches!(word, None | Some("Exact" | "PathPrefix")) && !value.starts_with('/') {
        return Err((
            at("value"),
            format!("{value:?} does not begin with a slash"),
        ));
    }
    match word {
        Some("Exact") => Ok(PathMatch::Exact(value.into())),
        None | Some("PathPrefix") => Ok(PathMatch::Elements(value.trim_end_matches('/').into())),
        Some("RegularExpression") => match pattern::complaint(value) {
            None => Ok(PathMatch::Regex(value.into())),
            Some(complaint) => Err((at("value"), complaint)),
        },
        Some(word) => Err((at("type"), unknown(word))),
    }
}

fn unknown(word: &str) -> String {
    format!("{word:?} is no type of match that is known")
}

fn method(word: Option<&str>, path: &Path) -> Result<Option<TextMatch>, Unreadable> {
    let Some(word) = word else {
        return Ok(None);
    };
    let is_one = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match is_one {
        true => Ok(Some(TextMatch::Exact(word.into()))),
        false => Err((path.clone().key("method"), format!("{word:?} is no method"))),
    }
}

/// Conditions on headers; of two about the same header the first counts.
pub(in crate::translate::routes) fn headers(
    list: &[written::NamedMatch],
    path: &Path,
) -> Result<Vec<NamedMatch>, Unreadable> {
    named(list, path, |name| {
        let complaint = || format!("{name:?} is no name that a header can have");
        pattern::header_name(name).ok_or_else(complaint)
    })
}

fn query(list: &[written::NamedMatch], path: &Path) -> Result<Vec<NamedMatch>, Unreadable> {
    named(list, path, |name| match name {
        "" => Err("a query parameter has a name".to_owned()),
        name => Ok(name.to_owned()),
    })
}

fn named(
    list: &[written::NamedMatch],
    path: &Path,
    name_of: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<NamedMatch>, Unreadable> {
    let mut found: Vec<NamedMatch> = Vec::new();
    for (index, one) in list.iter().enumerate() {
        let at = |key: &str| path.clone().at(index).key(key);
        let name = name_of(&one.name).map_err(|complaint| (at("name"), complaint))?;
        let value = text(one.r#type.as_deref(), &one.value, &at)?;
        if found.iter().all(|it| *it.name != *name) {
            found.push(NamedMatch {
                name: name.into(),
                value,
                negated: false,
            });
        }
    }
    Ok(found)
}

fn text(
    word: Option<&str>,
    value: &str,
    at: &dyn Fn(&str) -> Path,
) -> Result<TextMatch, Unreadable> {
    match word {
        _ if is_default(word, "Exact") => Ok(TextMatch::Exact(value.into())),
        Some("RegularExpression") => match pattern::complaint(value) {
            None => Ok(TextMatch::Regex(value.into())),
            Some(complaint) => Err((at("value"), complaint)),
        },
        word => Err((at("type"), unknown(word.unwrap_or_default()))),
    }
}
