//! Pure. The rules and matches of a route that is read, and what a rule is called.

use mesh::model::Origin;
use mesh::model::http::{HttpMatch, HttpRule};
use objects::raw::Path;

use super::Written;
use super::precedence::Rank;

/// A route of HTTP requests or gRPC calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Http {
    /// Matches in the order of the document.
    pub(super) entries: Vec<Entry>,
    /// What is done.
    pub(super) rules: Vec<HttpRule>,
}

/// One match.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// How exact it is.
    pub(super) rank: Rank,
    /// Its conditions.
    pub(super) matches: HttpMatch,
    /// Index of its rule.
    pub(super) rule: usize,
}

/// The path of a rule.
pub(super) fn path_of(rule: usize) -> Path {
    Path::of_keys(&["spec", "rules"]).at(rule)
}

/// The origin of a rule: its name, else its index.
pub(super) fn origin(route: Written<'_>, index: usize, name: Option<&str>) -> Origin {
    let metadata = route.metadata();
    let name = name.filter(|it| !it.is_empty());
    Origin {
        rule: name.map_or_else(|| index.to_string().into(), Into::into),
        ..Origin::object(
            route.kind().facts().word,
            metadata.namespace.as_str(),
            metadata.name.as_str(),
        )
    }
}

/// Whether a word is absent, or the one that stands for an absent one.
pub(super) fn is_default(word: Option<&str>, default: &str) -> bool {
    word.is_none_or(|word| word == default)
}
