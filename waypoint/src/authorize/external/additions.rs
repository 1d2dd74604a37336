//! Pure. What an admitting answer changes in request and response.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::asked::Asked;

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
    pub(in crate::authorize) fn to_request(&self, asked: &mut Asked) {
        let removed = self.removed.iter().filter(|it| is_touchable(it));
        removed.for_each(|name| {
            asked.headers.remove(name);
        });
        add(&self.request, &mut asked.headers);
        if !(self.query.is_empty() && self.query_removed.is_empty()) {
            self.change_query(&mut asked.query);
        }
    }

    /// Changes the response, when it comes.
    pub fn to_response(&self, headers: &mut HeaderMap) {
        add(&self.response, headers);
    }

    fn change_query(&self, query: &mut Option<String>) {
        let is_kept = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            let is_set = self.query.iter().any(|(key, _)| key == name);
            !pair.is_empty() && !is_set && !self.query_removed.iter().any(|it| it == name)
        };
        let kept = query.as_deref().unwrap_or_default().split('&');
        let kept = kept.filter(is_kept).map(str::to_owned);
        let set = self
            .query
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let pairs: Vec<String> = kept.chain(set).collect();
        *query = (!pairs.is_empty()).then(|| pairs.join("&"));
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
