//! Pure. What a verified token says, as conditions of policies and routes see it.

use std::fmt;

use serde_json::{Map, Value};

/// Claims that are always lists separated by spaces.
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// A verified token. Not to be made of one that was not verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    principal: Option<String>,
    claims: Map<String, Value>,
}

impl Token {
    /// The token with this payload. `scope`, `permission` and the claims of `space_delimited` that
    /// are texts count as lists of the words in them.
    pub fn new<'a>(
        payload: Map<String, Value>,
        space_delimited: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let text = |name: &str| payload.get(name)?.as_str().filter(|it| !it.is_empty());
        let principal = text("iss")
            .zip(text("sub"))
            .map(|(issuer, subject)| format!("{issuer}/{subject}"));
        let mut claims = payload;
        for name in SPACE_DELIMITED.into_iter().chain(space_delimited) {
            if let Some(claim) = claims.get_mut(name)
                && let Value::String(words) = claim
            {
                *claim = words.split_ascii_whitespace().collect();
            }
        }
        Self { principal, claims }
    }

    /// `iss/sub`; `None` when one of the two is missing.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// The claim that is reached by these names, from the outermost inwards.
    pub fn claim<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Value> {
        let mut path = path.into_iter();
        let first = self.claims.get(path.next()?)?;
        path.try_fold(first, |value, name| value.as_object()?.get(name))
    }

    /// The texts of that claim: itself, or the members of a list. Other values have none.
    pub fn texts<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &str> {
        let claim = self.claim(path);
        let (single, members) = match claim {
            Some(Value::String(text)) => (Some(text.as_str()), &[][..]),
            Some(Value::Array(members)) => (None, members.as_slice()),
            _ => (None, &[][..]),
        };
        single
            .into_iter()
            .chain(members.iter().filter_map(Value::as_str))
    }
}

impl fmt::Debug for Token {
    /// Whose it is only: claims may be anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.principal).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(payload: Value) -> Token {
        Token::new(payload.as_object().unwrap().clone(), ["groups"])
    }

    #[test]
    fn a_principal_needs_issuer_and_subject() {
        let of = |payload| token(payload).principal().map(str::to_owned);
        assert_eq!(of(json!({"iss": "i", "sub": "s"})), Some("i/s".to_owned()));
        assert_eq!(of(json!({"iss": "i"})), None);
        assert_eq!(of(json!({"iss": "i", "sub": ""})), None);
        assert_eq!(of(json!({"iss": 1, "sub": "s"})), None);
    }

    #[test]
    fn claims_are_texts_lists_nested_and_split_by_spaces_where_said() {
        let token = token(json!({
            "a": {"b": ["x", 1, "y"], "c": "z"},
            "scope": "read write",
            "groups": "one two",
            "plain": "one two",
            "number": 5,
        }));
        let texts = |path: &[&str]| token.texts(path.iter().copied()).collect::<Vec<_>>();
        assert_eq!(texts(&["a", "b"]), ["x", "y"]);
        assert_eq!(texts(&["a", "c"]), ["z"]);
        assert_eq!(texts(&["a", "c", "d"]), [""; 0]);
        assert_eq!(texts(&["scope"]), ["read", "write"]);
        assert_eq!(texts(&["groups"]), ["one", "two"]);
        assert_eq!(texts(&["plain"]), ["one two"]);
        assert_eq!(texts(&["number"]), [""; 0]);
        assert_eq!(texts(&[]), [""; 0]);
    }

    #[test]
    fn debug_shows_no_claims() {
        let shown = format!(
            "{:?}",
            token(json!({"iss": "i", "sub": "s", "secret": "x1"}))
        );
        assert!(!shown.contains("x1"), "{shown}");
    }
}
