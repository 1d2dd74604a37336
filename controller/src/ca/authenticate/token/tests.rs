//! Every claim of a token at the edge of what it may be.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;

struct Issuer {
    sign: EncodingKey,
    verify: DecodingKey,
}

impl Issuer {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let sign = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
        let public = Jwk::from_encoding_key(&sign, Algorithm::ES256).unwrap();
        Self {
            verify: DecodingKey::from_jwk(&public).unwrap(),
            sign,
        }
    }

    /// What becomes of a good token with something changed.
    fn check(&self, edit: impl FnOnce(&mut Value)) -> Result<Caller, AuthError> {
        let mut claims = json!({
            "iss": "issuer",
            "aud": ["istio-ca"],
            "nbf": NOW,
            "exp": NOW + 3600,
            "sub": "system:serviceaccount:default:web",
            "kubernetes.io": {
                "namespace": "default",
                "serviceaccount": {"name": "web", "uid": "s"},
                "pod": {"name": "web-0", "uid": "u"},
                "node": {"name": "a", "uid": "n"},
            },
        });
        edit(&mut claims);
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.sign);
        let expected = Expected {
            issuer: "issuer".to_owned(),
            audiences: vec!["istio-ca".to_owned(), "weft".to_owned()],
        };
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let trust_domain = TrustDomain::default();
        check(&token.unwrap(), &self.verify, &expected, trust_domain, now)
    }
}

/// What is changed, and the word of the reason; `None` for what must pass.
type Row = (fn(&mut Value), Option<&'static str>);

const ROWS: [Row; 24] = [
    (|_| {}, None),
    (|it| it["aud"] = json!("weft"), None),
    (|it| it["aud"] = json!(["other", "weft"]), None),
    (|it| it["aud"] = json!("other"), Some("audience")),
    (|it| it["aud"] = json!("istio-ca2"), Some("audience")),
    (|it| it["aud"] = json!([]), Some("audience")),
    (|it| it["aud"] = json!(null), Some("malformed")),
    // clocks may differ by ten seconds
    (|it| it["exp"] = json!(NOW - 9), None),
    (|it| it["exp"] = json!(NOW - 10), Some("expired")),
    (|it| it["exp"] = json!(0), Some("expired")),
    (|it| it["exp"] = json!(u64::MAX), None),
    (|it| it["exp"] = json!(null), Some("malformed")),
    (|it| it["nbf"] = json!(NOW + 10), None),
    (|it| it["nbf"] = json!(NOW + 11), Some("not_yet_valid")),
    (|it| it["nbf"] = json!(null), None),
    (|it| it["iss"] = json!("issuer/"), Some("issuer")),
    (
        |it| it["sub"] = json!("system:serviceaccount:default:db"),
        Some("claim"),
    ),
    (
        |it| it["kubernetes.io"]["namespace"] = json!("other"),
        Some("claim"),
    ),
    (
        |it| it["kubernetes.io"]["pod"]["uid"] = json!(""),
        Some("claim"),
    ),
    (
        |it| it["kubernetes.io"]["pod"]["name"] = json!(""),
        Some("claim"),
    ),
    (|it| it["kubernetes.io"]["pod"] = json!(null), None),
    (|it| it["kubernetes.io"]["node"] = json!(null), None),
    (
        |it| it["kubernetes.io"]["serviceaccount"] = json!(null),
        Some("malformed"),
    ),
    (
        |it| {
            it["kubernetes.io"]["namespace"] = json!("a/sa/b");
            it["sub"] = json!("system:serviceaccount:a/sa/b:web");
        },
        Some("claim"),
    ),
];

#[test]
fn every_claim_must_be_right_and_the_reason_says_which_is_not() {
    let issuer = Issuer::new();
    for (number, (edit, word)) in ROWS.into_iter().enumerate() {
        let result = issuer.check(edit);
        assert_eq!(result.err().map(|it| it.word()), word, "row {number}");
    }
}

#[test]
fn a_caller_is_who_the_claims_say() {
    let caller = Issuer::new().check(|_| {}).unwrap();
    let identity = caller.identity.to_string();
    assert_eq!(identity, "spiffe://cluster.local/ns/default/sa/web");
    let pod = caller.pod.unwrap();
    assert_eq!((&*pod.name, &*pod.uid), ("web-0", "u"));
    assert_eq!(caller.node.as_deref(), Some("a"));
}

#[test]
fn a_token_of_another_issuers_key_is_refused() {
    let (one, other) = (Issuer::new(), Issuer::new());
    let mixed = Issuer {
        sign: one.sign,
        verify: other.verify,
    };
    assert_eq!(mixed.check(|_| {}).unwrap_err().word(), "signature");
}
