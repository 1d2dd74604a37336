//! Pure. What an admitting answer changes in request and response.

use ::http::request::Parts;
use ::http::uri::{PathAndQuery, Uri};
use ::http::{HeaderMap, HeaderName, HeaderValue};

use super::names::is_touchable;

/// What becomes of headers of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// They are replaced.
    Set,
    /// It is added beside them.
    Append,
    /// It is left out if there are any.
    IfAbsent,
    /// It replaces them, and is left out if there are none.
    IfPresent,
}

/// What an admitting answer changes; none of it touches what frames a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    pub(super) request: Vec<(HeaderName, HeaderValue, How)>,
    pub(super) removed: Vec<HeaderName>,
    pub(super) response: Vec<(HeaderName, HeaderValue, How)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) query_removed: Vec<String>,
}

impl Additions {
    /// Changes the request.
    pub(in crate::http::authorize) fn to_request(&self, head: &mut Parts) {
        let removed = self.removed.iter().filter(|it| is_touchable(it));
        removed.for_each(|name| {
            head.headers.remove(name);
        });
        add(&self.request, &mut head.headers);
        if !(self.query.is_empty() && self.query_removed.is_empty()) {
            self.change_query(&mut head.uri);
        }
    }

    /// Changes the response, when it comes.
    pub fn to_response(&self, headers: &mut HeaderMap) {
        add(&self.response, headers);
    }

    fn change_query(&self, uri: &mut Uri) {
        let is_kept = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            let is_set = self.query.iter().any(|(key, _)| key == name);
            !pair.is_empty() && !is_set && !self.query_removed.iter().any(|it| it == name)
        };
        let kept = uri.query().unwrap_or_default().split('&').filter(is_kept);
        let kept = kept.map(str::to_owned);
        let set = self
            .query
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let query: Vec<String> = kept.chain(set).collect();
        let path = match query.is_empty() {
            true => uri.path().to_owned(),
            false => format!("{}?{}", uri.path(), query.join("&")),
        };
        let mut parts = uri.clone().into_parts();
        if let Ok(path) = PathAndQuery::try_from(path) {
            parts.path_and_query = Some(path);
            if let Ok(changed) = Uri::from_parts(parts) {
                *uri = changed;
            }
        }
    }
}

fn add(headers: &[(HeaderName, HeaderValue, How)], to: &mut HeaderMap) {
    for (name, value, how) in headers.iter().filter(|(name, ..)| is_touchable(name)) {
        let is_there = to.contains_key(name);
        match how {
            How::Append => {
                to.append(name, value.clone());
            }
            How::IfAbsent if is_there => {}
            How::IfPresent if !is_there => {}
            How::Set | How::IfAbsent | How::IfPresent => {
                to.insert(name, value.clone());
            }
        }
    }
}
