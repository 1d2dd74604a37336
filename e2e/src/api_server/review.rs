//! Token reviews. Source: Kubernetes API reference, TokenReview v1.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Whom a token proves.
#[derive(Clone, Debug, Default)]
pub struct Proven {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub username: String,
    /// For whom the token is.
    pub audiences: Vec<String>,
    /// Pod and node, as `authentication.kubernetes.io/pod-name` and the like.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Fills in the status of a review: a token counts for those of the wanted audiences it is for; who wants none gets the
/// API server's own, which our tokens are not for.
pub(super) fn answer(mut review: Value, tokens: &BTreeMap<String, Proven>) -> Value {
    let token = review.pointer("/spec/token").and_then(Value::as_str);
    let wanted = review.pointer("/spec/audiences").and_then(Value::as_array);
    let wanted: Vec<&str> = wanted
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let proven = token.and_then(|it| tokens.get(it));
    let status = match proven {
        None => json!({"authenticated": false, "user": {}, "error": "[invalid bearer token]"}),
        Some(proven) => {
            let both = proven
                .audiences
                .iter()
                .filter(|it| wanted.contains(&it.as_str()));
            let both: Vec<&String> = both.collect();
            match both.is_empty() {
                true => json!({"authenticated": false, "user": {},
                    "error": "[invalid bearer token, token audiences are not for target audiences]"}),
                false => json!({"authenticated": true, "audiences": both,
                    "user": {"username": proven.username, "uid": "account", "extra": proven.extra,
                        "groups": ["system:serviceaccounts", "system:authenticated"]}}),
            }
        }
    };
    super::store::set(&mut review, "status", status);
    review
}
