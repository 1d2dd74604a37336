//! Pure. Keys of `headers` that stand for claims of a verified token: `@request.auth.claims.a.b` or
//! `@request.auth.claims[a][b]`.

/// What such a key begins with.
const CLAIMS: &str = "@request.auth.claims";
/// What stands between the parts in the mesh's words.
const BETWEEN: &str = "\u{1f}";

/// The path of a claim; `None` for names of headers.
///
/// # Errors
/// When it begins like one and is none.
pub(super) fn path(key: &str) -> Option<Result<String, String>> {
    let rest = key.strip_prefix(CLAIMS)?;
    let parts: Option<Vec<&str>> = match rest.strip_prefix('.') {
        Some(rest) => Some(rest.split('.').collect()),
        None => rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .map(|rest| rest.split("][").collect()),
    };
    let is_good = |parts: &Vec<&str>| {
        parts
            .iter()
            .all(|it| !it.is_empty() && !it.contains(['[', ']']))
    };
    let parts = parts.filter(is_good);
    let complaint = || format!("`{key}` names no claim: write `{CLAIMS}.name` or `{CLAIMS}[name]`");
    Some(parts.map(|it| it.join(BETWEEN)).ok_or_else(complaint))
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn both_notations_name_nested_claims() {
        for (key, expected) in [
            ("@request.auth.claims.sub", "sub"),
            ("@request.auth.claims.a.b", "a\u{1f}b"),
            ("@request.auth.claims[a][b]", "a\u{1f}b"),
            ("@request.auth.claims[a.b]", "a.b"),
        ] {
            assert_eq!(path(key), Some(Ok(expected.to_owned())), "{key}");
        }
        for key in [
            "@request.auth.claims",
            "@request.auth.claims.",
            "@request.auth.claims.a..b",
            "@request.auth.claims[",
            "@request.auth.claims[a]b",
            "@request.auth.claimsa",
        ] {
            assert!(path(key).is_some_and(|it| it.is_err()), "{key}");
        }
        assert_eq!(path("x-user"), None);
    }
}
