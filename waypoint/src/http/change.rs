//! What a rule changes in a request before it is sent on: host, path, headers.

use std::borrow::Cow;

use http::header::{HeaderName, HeaderValue};

use crate::asked::Asked;
use crate::routes::compile::{Rule, Share};

const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");

/// Changes a request as its rule and backend say; old host and path are told in headers.
pub fn apply(rule: &Rule, share: &Share, asked: &mut Asked) {
    if let Some(path) = &rule.path {
        let new = match path.of(&asked.path) {
            Cow::Borrowed(same) if same == asked.path => None,
            new => Some(new.into_owned()),
        };
        if let Some(new) = new {
            let mut old = std::mem::replace(&mut asked.path, new);
            if let Some(query) = &asked.query {
                old.push('?');
                old.push_str(query);
            }
            if let Ok(old) = HeaderValue::from_str(&old) {
                asked.headers.insert(ORIGINAL_PATH, old);
            }
        }
    }
    if let Some(host) = &rule.host {
        let old = std::mem::replace(&mut asked.authority, host.clone());
        asked.headers.insert(ORIGINAL_HOST, old);
    }
    rule.request_headers.apply(&mut asked.headers);
    share.request_headers.apply(&mut asked.headers);
}
