//! Pure. Fields of an object that nobody reads: nothing is silently ignored.

use objects::object::Object;

use super::Finding;
use super::rule::Rule;

/// One finding per field, for the kinds whose fields are all a mesh's business.
pub fn findings(object: &Object) -> Vec<Finding> {
    if !object.key().kind.facts().report_unread {
        return Vec::new();
    }
    let unread = object.unread().into_iter();
    unread
        .map(|field| Finding {
            rule: Rule::UnreadField,
            reason: "this field has no effect: Weft does not read it".to_owned(),
            path: field.path,
        })
        .collect()
}
