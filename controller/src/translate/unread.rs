//! Pure. Fields of an object that nobody reads: nothing is silently ignored.

use objects::object::Object;
use objects::raw::{Path, Step};

use super::Finding;
use super::rule::Rule;

/// Fields of `metadata` that the API server or its tools keep for themselves.
const METADATA: &[&str] = &[
    "deletionGracePeriodSeconds",
    "finalizers",
    "generateName",
    "managedFields",
    "selfLink",
];

/// What nobody writes for the mesh to read.
fn is_kubernetes_own(path: &Path) -> bool {
    let is = |step: Option<&Step>, key: &str| step == Some(&Step::Key(key.to_owned()));
    let (first, second) = (path.steps().first(), path.steps().get(1));
    let is_metadata = is(first, "metadata") && METADATA.iter().any(|key| is(second, key));
    is(first, "status") || is_metadata
}

/// One finding per field, for the kinds whose fields are all a mesh's business.
pub fn findings(object: &Object) -> Vec<Finding> {
    if !object.key().kind.facts().report_unread {
        return Vec::new();
    }
    let unread = object.unread().into_iter();
    let unread = unread.filter(|field| !is_kubernetes_own(&field.path));
    unread
        .map(|field| Finding {
            rule: Rule::UnreadField,
            reason: "this field has no effect: Weft does not read it".to_owned(),
            path: field.path,
        })
        .collect()
}
