//! Pure. Changes of headers.

use std::sync::Arc;

use mesh::model::http::HeaderChanges;
use objects::gateway_api::filter::{Header, HeaderModifier};
use objects::raw::Path;

use crate::translate::pattern;

/// The field of a change that cannot be made, and why.
pub(super) type BadChange = (Path, String);

/// No change.
pub(super) fn none() -> HeaderChanges {
    HeaderChanges::default()
}

/// The changes that a modifier at `path` asks for; of two about the same header the first counts.
pub(super) fn read(
    modifier: Option<&HeaderModifier>,
    path: &Path,
) -> Result<HeaderChanges, BadChange> {
    let Some(modifier) = modifier else {
        return Err((path.clone(), "the filter has nothing to do".to_owned()));
    };
    let mut remove = Vec::new();
    for (index, text) in modifier.remove.iter().enumerate() {
        let path = path.clone().key("remove").at(index);
        let name = name(text, &path)?;
        if *name == *"host" {
            return Err((path, "a request cannot be without its host".to_owned()));
        }
        remove.push(name);
    }
    Ok(HeaderChanges {
        remove,
        set: pairs(&modifier.set, &path.clone().key("set"))?,
        add: pairs(&modifier.add, &path.clone().key("add"))?,
    })
}

/// A header's name and value.
type Pair = (Arc<str>, Arc<str>);

fn pairs(list: &[Header], path: &Path) -> Result<Vec<Pair>, BadChange> {
    let mut found: Vec<Pair> = Vec::new();
    for (index, header) in list.iter().enumerate() {
        let path = path.clone().at(index);
        let name = name(&header.name, &path.clone().key("name"))?;
        if !pattern::is_header_value(&header.value) {
            let reason = format!("{:?} is no value that a header can have", header.value);
            return Err((path.key("value"), reason));
        }
        if found.iter().all(|(other, _)| *other != name) {
            found.push((name, header.value.as_str().into()));
        }
    }
    Ok(found)
}

fn name(text: &str, path: &Path) -> Result<Arc<str>, BadChange> {
    let complaint = || {
        let reason = format!("{text:?} is no name that a header can have");
        (path.clone(), reason)
    };
    let name = pattern::header_name(text).ok_or_else(complaint)?;
    Ok(name.into())
}
