//! Pure. Changes of headers.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh::model::http::HeaderChanges;
use objects::istio::virtual_service::http_action::HeaderOperations;
use objects::raw::Path;

use super::Reader;
use crate::translate::rule::Rule;

/// Whether a text can name a header.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Changes on one way. A host that is set stays among what is set, as `host`.
pub(super) fn read(
    written: &HeaderOperations,
    path: &Path,
    reader: &mut Reader<'_>,
) -> HeaderChanges {
    let at = |key: &str| path.clone().key(key);
    let mut changes = HeaderChanges {
        remove: Vec::new(),
        set: pairs(&written.set, &at("set"), reader),
        add: pairs(&written.add, &at("add"), reader),
    };
    for (index, name) in written.remove.iter().enumerate() {
        let path = at("remove").at(index);
        changes.remove.extend(name_of(name, path, reader));
    }
    let is_host = |name: &Arc<str>| **name == *HOST;
    let unheard = [
        ("add", changes.add.iter().any(|(name, _)| is_host(name))),
        ("remove", changes.remove.iter().any(is_host)),
    ];
    for (key, _) in unheard.into_iter().filter(|(_, is_there)| *is_there) {
        let reason = "the host can be set only";
        reader.remarks.add(Rule::NotHonoured, at(key), reason);
    }
    changes.add.retain(|(name, _)| !is_host(name));
    changes.remove.retain(|name| !is_host(name));
    changes
}

/// The host header, and HTTP/2's word for it.
const HOST: &str = "host";
const AUTHORITY: &str = ":authority";

/// Takes a host that is set out of the changes: it is a change of the host, not of a header.
pub(super) fn take_host(changes: &mut HeaderChanges) -> Option<Arc<str>> {
    let place = changes.set.iter().position(|(name, _)| **name == *HOST)?;
    Some(changes.set.remove(place).1)
}

fn pairs(
    written: &BTreeMap<String, String>,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Vec<(Arc<str>, Arc<str>)> {
    let mut pairs = Vec::new();
    for (name, value) in written {
        let path = path.clone().key(name);
        if let Some(name) = name_of(name, path.clone(), reader) {
            pairs.push((name, value_of(value, &path, reader)));
        }
    }
    pairs
}

fn name_of(name: &str, path: Path, reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let lower = name.to_ascii_lowercase();
    if lower == AUTHORITY {
        return Some(HOST.into());
    }
    if name.starts_with(':') {
        let reason = format!("`{name}` is no header: it is left as it is");
        reader.remarks.add(Rule::NotHonoured, path, reason);
        return None;
    }
    if !is_name(name) {
        reader.invalid(path, format!("`{name}` is no name of a header"));
        return None;
    }
    Some(lower.into())
}

/// `%%` stands for one `%`; variables between two of them are not filled in.
fn value_of(value: &str, path: &Path, reader: &mut Reader<'_>) -> Arc<str> {
    if value
        .bytes()
        .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
    {
        reader.invalid(
            path.clone(),
            "a header has no line breaks or other control characters",
        );
    }
    let mut parts = value.split("%%");
    let has_variable = parts.any(|part| part.matches('%').count() >= 2);
    if has_variable {
        let reason = format!("`{value}` is set as it stands: variables are not filled in");
        reader.remarks.add(Rule::NotHonoured, path.clone(), reason);
    }
    value.replace("%%", "%").into()
}
