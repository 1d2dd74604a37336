//! Pure. Cross-origin rules.

use std::sync::Arc;

use mesh::model::http::{Cors, OriginMatch, TextMatch};
use objects::istio::virtual_service::{Cors as Written, Preflights};
use objects::raw::Path;

use super::{Reader, headers, text};

pub(super) fn read(written: &Written, path: &Path, reader: &mut Reader<'_>) -> Cors {
    let at = |key: &str| path.clone().key(key);
    let older = written.allow_origin.iter();
    let mut origins: Vec<OriginMatch> = older
        .map(|it| origin(TextMatch::Exact(it.as_str().into())))
        .collect();
    for (index, one) in written.allow_origins.iter().enumerate() {
        let path = at("allowOrigins").at(index);
        match text::read(one, &path, reader) {
            TextMatch::Present => reader.invalid(path, "one of exact, prefix and regex"),
            read => origins.push(origin(read)),
        }
    }
    Cors {
        origins,
        methods: names(&written.allow_methods, &at("allowMethods"), reader),
        headers: names(&written.allow_headers, &at("allowHeaders"), reader),
        expose: names(&written.expose_headers, &at("exposeHeaders"), reader),
        credentials: written.allow_credentials == Some(true),
        max_age: written.max_age.map(|it| it.0),
        answer_unmatched: written.unmatched_preflights == Preflights::Ignore,
    }
}

/// `*` is every origin.
fn origin(text: TextMatch) -> OriginMatch {
    match text {
        TextMatch::Exact(text) if &*text == "*" => OriginMatch::Wildcard(text),
        text => OriginMatch::Text(text),
    }
}

/// Methods or headers; both are tokens.
fn names(written: &[String], path: &Path, reader: &mut Reader<'_>) -> Vec<Arc<str>> {
    for (index, name) in written.iter().enumerate() {
        if !headers::is_name(name) {
            let reason = format!("`{name}` is neither a method nor a header");
            reader.invalid(path.clone().at(index), reason);
        }
    }
    written.iter().map(|it| it.as_str().into()).collect()
}
