//! Pure. Labels and annotations: small sorted maps of text, with the questions that are asked of them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Labels or annotations of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether the key is there with exactly this value.
    #[must_use]
    pub fn is(&self, key: &str, value: &str) -> bool {
        self.get(key) == Some(value)
    }

    /// Whether the key is there, whatever its value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The value of the first of these keys that is there (a new name before the old one, say).
    #[must_use]
    pub fn first_of(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// All pairs, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Labels {
        Labels(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn asks_for_presence_value_and_the_first_of_several_names() {
        let labels = Labels::from_iter([("app", "web"), ("old", "1")]);
        assert!(labels.is("app", "web") && labels.has("old"));
        assert!(!labels.is("app", "db") && !labels.has("new"));
        assert_eq!(labels.first_of(&["new", "old"]), Some("1"));
        assert_eq!(labels.first_of(&["new"]), None);
    }
}
