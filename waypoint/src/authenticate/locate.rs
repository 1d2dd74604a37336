//! Pure. Where tokens are in a request.

use std::sync::Arc;

use ::http::HeaderMap;
use ::http::header::COOKIE;
use mesh::model::attached::JwtRule;

use crate::asked::Asked;

/// Where tokens are without another word.
const BEARER: (&str, &str) = ("authorization", "Bearer ");
/// Query parameter that tokens are in without another word.
const PARAMETER: &str = "access_token";
/// Most tokens that are looked at in one request.
const TOKEN_LIMIT: usize = 8;

/// A token, where it was and whose rules look there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The token.
    pub(super) text: String,
    /// Where it was.
    pub(super) place: Place,
    /// Rules, by index.
    pub(super) rules: Vec<usize>,
}

/// Where a token can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this header, behind this prefix.
    Header(Arc<str>, Arc<str>),
    /// In this query parameter.
    Query(Arc<str>),
    /// In this cookie.
    Cookie(Arc<str>),
}

/// The tokens that any of the rules looks for, in the order of rules and of their places.
pub(super) fn tokens<'a>(rules: impl Iterator<Item = &'a JwtRule>, asked: &Asked) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (index, rule) in rules.enumerate() {
        for place in places(rule) {
            for text in place.texts(asked) {
                let mut known = found.iter_mut();
                let known = known.find(|it| it.place == place && it.text == text);
                if let Some(known) = known {
                    known.rules.push(index);
                } else if found.len() < TOKEN_LIMIT {
                    found.push(Found {
                        text: text.to_owned(),
                        place: place.clone(),
                        rules: vec![index],
                    });
                }
            }
        }
    }
    found
}

fn places(rule: &JwtRule) -> Vec<Place> {
    let header = |(name, prefix): &(Arc<str>, Arc<str>)| {
        Place::Header(name.to_ascii_lowercase().into(), Arc::clone(prefix))
    };
    let headers = rule.headers.iter().map(header);
    let queries = rule.params.iter().cloned().map(Place::Query);
    let cookies = rule.cookies.iter().cloned().map(Place::Cookie);
    let places: Vec<_> = headers.chain(queries).chain(cookies).collect();
    if !places.is_empty() {
        return places;
    }
    let (name, prefix) = BEARER;
    vec![
        Place::Header(name.into(), prefix.into()),
        Place::Query(PARAMETER.into()),
    ]
}

impl Place {
    fn texts<'p>(&'p self, asked: &'p Asked) -> Box<dyn Iterator<Item = &'p str> + 'p> {
        match self {
            Self::Header(name, prefix) => {
                let lines = texts_of(&asked.headers, name);
                let behind = lines.filter_map(|line| line.strip_prefix(&**prefix));
                Box::new(behind.map(str::trim).filter(|it| !it.is_empty()))
            }
            Self::Query(name) => {
                let query = asked.query.as_deref().unwrap_or_default();
                Box::new(values(query, '&', name).take(1))
            }
            Self::Cookie(name) => {
                let lines = texts_of(&asked.headers, COOKIE.as_str());
                Box::new(lines.flat_map(|line| values(line, ';', name)).take(1))
            }
        }
    }
}

fn texts_of<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).into_iter();
    lines.filter_map(|line| line.to_str().ok())
}

/// The values of `name` in a list of `name=value`.
fn values<'t>(list: &'t str, separator: char, name: &'t str) -> impl Iterator<Item = &'t str> {
    let pairs = list
        .split(separator)
        .filter_map(|it| it.trim().split_once('='));
    let named = pairs.filter(move |(key, value)| *key == name && !value.is_empty());
    named.map(|(_, value)| value)
}
