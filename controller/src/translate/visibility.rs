//! Pure. Who sees service entries, by `serviceEntryVisibility` of MeshConfig. Source: docs/compat.md#mesh-config.

use mesh::model::Visibility;
use objects::labels::Labels;
use objects::selector::Selector;
use serde::Deserialize;

/// Who sees which service entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntryVisibility {
    default_visibility: Word,
    policies: Vec<VisibilityPolicy>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct VisibilityPolicy {
    visibility: Word,
    matching_rules: Vec<MatchingRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MatchingRule {
    namespace_selector: Option<Selector>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Word {
    #[default]
    Public,
    Namespace,
    None,
}

/// What becomes of the service entries of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Everybody sees them, because nobody said otherwise.
    ByDefault,
    /// Seen as the mesh's administrator says.
    As(Visibility),
    /// Nobody sees them: they are not published.
    ByNobody,
}

impl EntryVisibility {
    /// Service entries of a namespace with these labels: the first policy whose rules all match decides.
    pub fn of(&self, labels: &Labels) -> Seen {
        let matches = |rule: &MatchingRule| {
            let selector = rule.namespace_selector.as_ref();
            selector.is_none_or(|selector| selector.matches(labels))
        };
        let decides = |policy: &&VisibilityPolicy| policy.matching_rules.iter().all(matches);
        let policy = self.policies.iter().find(decides);
        match policy.map_or(self.default_visibility, |policy| policy.visibility) {
            Word::Public => Seen::As(Visibility::Public),
            Word::Namespace => Seen::As(Visibility::Namespace),
            Word::None => Seen::ByNobody,
        }
    }
}

impl Seen {
    /// Who sees a published one; `None` when it is not published.
    pub fn visibility(self) -> Option<Visibility> {
        match self {
            Seen::ByDefault => Some(Visibility::Public),
            Seen::As(visibility) => Some(visibility),
            Seen::ByNobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_policy_whose_rules_all_match_decides() {
        let text = r#"{"defaultVisibility": "NAMESPACE", "policies": [
            {"visibility": "NONE", "matchingRules": [
                {"namespaceSelector": {"matchLabels": {"a": "1"}}},
                {"namespaceSelector": {"matchLabels": {"b": "1"}}}]},
            {"visibility": "PUBLIC", "matchingRules": [{"namespaceSelector": {"matchLabels": {"a": "1"}}}]}]}"#;
        let config: EntryVisibility = serde_json::from_str(text).unwrap();
        for (labels, expected) in [
            (vec![("a", "1"), ("b", "1")], Seen::ByNobody),
            (vec![("a", "1")], Seen::As(Visibility::Public)),
            (vec![("b", "1")], Seen::As(Visibility::Namespace)),
        ] {
            assert_eq!(config.of(&labels.into_iter().collect()), expected);
        }
        let nothing_said = EntryVisibility::default();
        assert_eq!(
            nothing_said.of(&Labels::default()),
            Seen::As(Visibility::Public)
        );
    }
}
