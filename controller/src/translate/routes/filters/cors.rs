//! Pure. Cross-origin rules.

use std::sync::Arc;
use std::time::Duration;

use mesh::model::http::{Cors, OriginMatch, TextMatch};
use objects::gateway_api::filter as written;
use objects::raw::Path;

use crate::translate::pattern;

/// How long the answer may be kept unless said otherwise, in seconds.
const MAX_AGE: u32 = 5;

pub(super) fn read(cors: &written::Cors, path: &Path) -> Result<Cors, (Path, String)> {
    let names = |list: &[String], key: &str| -> Result<Vec<Arc<str>>, (Path, String)> {
        let bad = list.iter().position(|it| !pattern::is_header_value(it));
        match bad {
            None => Ok(list.iter().map(|it| it.as_str().into()).collect()),
            Some(index) => Err((
                path.clone().key(key).at(index),
                "a header cannot have this value".to_owned(),
            )),
        }
    };
    let age = cors.max_age.unwrap_or(MAX_AGE);
    Ok(Cors {
        origins: cors.allow_origins.iter().map(|it| origin(it)).collect(),
        methods: names(&cors.allow_methods, "allowMethods")?,
        headers: names(&cors.allow_headers, "allowHeaders")?,
        expose: names(&cors.expose_headers, "exposeHeaders")?,
        credentials: cors.allow_credentials.unwrap_or_default(),
        max_age: Some(Duration::from_secs(u64::from(age))),
        answer_unmatched: true,
    })
}

fn origin(text: &str) -> OriginMatch {
    match text.contains('*') {
        true => OriginMatch::Wildcard(text.into()),
        false => OriginMatch::Text(TextMatch::Exact(text.into())),
    }
}
