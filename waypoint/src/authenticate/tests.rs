//! Real tokens of real keys, good and bad, and what becomes of the request.

mod keys;
mod noise;
mod places;

use std::time::{Duration, UNIX_EPOCH};

use ::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mesh::model::attached::JwtKeys;
use rcgen::{KeyPair, SignatureAlgorithm};
use serde_json::{Value, json};

use super::fetch::{Error, Fetch, Task};
use super::*;

/// What the tests take for now, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

pub(super) struct Issuer {
    key: EncodingKey,
    algorithm: Algorithm,
    id: &'static str,
    /// Its public half, as key sets have it.
    jwk: Value,
}

impl Issuer {
    pub(super) fn new(id: &'static str) -> Self {
        Self::with(id, &rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256)
    }

    fn with(id: &'static str, kind: &'static SignatureAlgorithm, algorithm: Algorithm) -> Self {
        let pair = KeyPair::generate_for(kind).unwrap();
        let der = pair.serialize_der();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_der(&der),
            Algorithm::EdDSA => EncodingKey::from_ed_der(&der),
            _ => EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
        };
        let mut jwk = match algorithm {
            Algorithm::EdDSA => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            _ => serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap(),
        };
        jwk["kid"] = id.into();
        Self {
            key,
            algorithm,
            id,
            jwk,
        }
    }

    pub(super) fn set(&self) -> String {
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, self.jwk]}).to_string()
    }

    pub(super) fn token(&self, payload: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, payload, &self.key).unwrap()
    }
}

/// Answers nothing.
pub(super) struct Nobody;

impl Fetch for Nobody {
    fn get<'a>(&'a self, _: &'a str) -> Task<'a, Result<bytes::Bytes, Error>> {
        Box::pin(async { Err(Error::Nowhere) })
    }
}

pub(super) fn rule(keys: JwtKeys) -> JwtRule {
    JwtRule {
        issuer: "https://issuer".into(),
        audiences: vec![],
        keys,
        headers: vec![],
        params: vec![],
        cookies: vec![],
        payload_header: "".into(),
        claim_headers: vec![],
        forward: false,
        fetch_timeout: Duration::from_secs(5),
        space_delimited: vec![],
    }
}

pub(super) fn payload() -> Value {
    json!({"iss": "https://issuer", "sub": "alice", "exp": NOW + 100})
}

pub(super) fn bearer(token: &str) -> Asked {
    asked(Request::get("/books?page=2").header("authorization", format!("Bearer {token}")))
}

/// A request as the path of requests has it.
pub(super) fn asked(request: ::http::request::Builder) -> Asked {
    let parts = request
        .header("host", "shop")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let id = || ::http::HeaderValue::from_static("id");
    Asked::new(parts, Default::default(), id).unwrap()
}

pub(super) async fn check(rules: &[JwtRule], head: &mut Asked) -> Result<Option<Token>, Rejection> {
    let ring = KeyRing::new(Arc::new(Nobody), tokio::runtime::Handle::current());
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    Authentication::new(rules, &ring).check(head, now).await
}

fn inline(issuer: &Issuer) -> JwtRule {
    rule(JwtKeys::Inline(issuer.set().into()))
}

#[tokio::test]
async fn a_good_token_of_every_kind_of_key_is_taken() {
    for (kind, algorithm) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Algorithm::ES384),
        (&rcgen::PKCS_ED25519, Algorithm::EdDSA),
        (&rcgen::PKCS_RSA_SHA256, Algorithm::RS256),
        (&rcgen::PKCS_RSA_SHA256, Algorithm::PS512),
    ] {
        let issuer = Issuer::with("k", kind, algorithm);
        let mut head = bearer(&issuer.token(&payload()));
        let token = check(&[inline(&issuer)], &mut head).await;
        let token = token.unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        assert_eq!(token.unwrap().principal(), Some("https://issuer/alice"));
        assert!(
            !head.headers.contains_key("authorization"),
            "it is not sent on"
        );
    }
}

/// A good payload with some of its claims changed, as a token.
fn changed(issuer: &Issuer, change: &Value) -> String {
    let mut payload = payload();
    let fields = payload.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    issuer.token(&payload)
}

/// Status and body of the answer; `None` when the token is taken.
async fn answer(rule: &JwtRule, token: &str) -> Option<(u16, String)> {
    let answer = check(std::slice::from_ref(rule), &mut bearer(token)).await;
    answer.err().map(|it| (it.status().as_u16(), it.body()))
}

#[tokio::test]
async fn every_fault_of_what_a_token_says_has_its_answer() {
    let issuer = Issuer::new("k");
    let lenient = inline(&issuer);
    let mut strict = inline(&issuer);
    strict.audiences = vec!["shop".into(), "bank".into()];
    let (expired, early) = ((401, "Jwt is expired"), (401, "Jwt not yet valid"));
    let audience = (403, "Audiences in Jwt are not allowed");
    let stranger = (401, "Jwt issuer is not configured");
    let times = (401, "Jwt payload [exp] or [nbf] field is not a number");
    for (rule, change, expected) in [
        (&lenient, json!({"aud": "any"}), None),
        (&strict, json!({"aud": ["x", "bank"]}), None),
        (&strict, json!({"aud": "shop"}), None),
        (&strict, json!({"aud": "else"}), Some(audience)),
        (&strict, json!({}), Some(audience)),
        (&lenient, json!({"exp": NOW - 59}), None),
        (&lenient, json!({"exp": NOW - 61}), Some(expired)),
        (&lenient, json!({"exp": "soon"}), Some(times)),
        (&lenient, json!({"nbf": NOW + 59}), None),
        (&lenient, json!({"nbf": NOW + 61}), Some(early)),
        (&lenient, json!({"iss": "https://else"}), Some(stranger)),
        (&lenient, json!({"iss": 1}), Some(stranger)),
    ] {
        let expected = expected.map(|(status, body)| (status, body.to_owned()));
        assert_eq!(
            answer(rule, &changed(&issuer, &change)).await,
            expected,
            "{change}"
        );
    }
    let without_end = issuer.token(&json!({"iss": "https://issuer"}));
    assert_eq!(answer(&lenient, &without_end).await, None);
}

#[tokio::test]
async fn every_fault_of_a_signature_has_its_answer() {
    let issuer = Issuer::new("k");
    let rule = inline(&issuer);
    let good = issuer.token(&payload());
    let [header, payload_text, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let forged =
        URL_SAFE_NO_PAD.encode(json!({"iss": "https://issuer", "sub": "root"}).to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let form = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    let fails = "Jwt verification fails";
    let no_key = "Jwks doesn't have key to match kid or alg from Jwt";
    for (token, expected) in [
        (Issuer::new("k").token(&payload()), fails),
        (Issuer::new("other").token(&payload()), no_key),
        (format!("{header}.{forged}.{signature}"), fails),
        (format!("{header}.{payload_text}."), fails),
        (
            format!("{none}.{forged}."),
            "Jwt header [alg] is not supported",
        ),
        ("abc".to_owned(), form),
        ("a.b.c".to_owned(), "Jwt header is an invalid JSON"),
    ] {
        let expected = Some((401, expected.to_owned()));
        assert_eq!(answer(&rule, &token).await, expected, "{token}");
    }
}

#[tokio::test]
async fn a_key_of_one_kind_verifies_no_token_of_another() {
    // The classic confusion: an asymmetric key's public part as the secret of an HMAC.
    let issuer = Issuer::new("k");
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k".to_owned());
    let secret = EncodingKey::from_secret(issuer.set().as_bytes());
    let token = jsonwebtoken::encode(&header, &payload(), &secret).unwrap();
    let answer = check(&[inline(&issuer)], &mut bearer(&token)).await;
    assert_eq!(answer.err(), Some(Rejection::Algorithm));
    let edwards = Issuer::with("k", &rcgen::PKCS_ED25519, Algorithm::EdDSA);
    let answer = check(&[inline(&issuer)], &mut bearer(&edwards.token(&payload()))).await;
    assert_eq!(answer.err(), Some(Rejection::UnknownKey));
}

#[tokio::test]
async fn a_refusal_tells_where_without_breaking_out_of_its_quotes() {
    let value = Rejection::Expired.www_authenticate("http", "a\"b", "/x\\y\r\n");
    assert_eq!(
        value,
        "Bearer realm=\"http://ab/xy\", error=\"invalid_token\""
    );
}

#[tokio::test]
async fn without_keys_an_issuers_tokens_are_refused_and_others_pass() {
    let issuer = Issuer::new("k");
    let unusable = rule(JwtKeys::Inline("{}".into()));
    let answer = check(
        std::slice::from_ref(&unusable),
        &mut bearer(&issuer.token(&payload())),
    )
    .await;
    assert_eq!(answer.err(), Some(Rejection::KeysMissing));
    let mut without = asked(Request::get("/"));
    assert!(check(&[unusable], &mut without).await.unwrap().is_none());
}

#[tokio::test]
async fn with_several_rules_the_first_good_one_counts() {
    let (one, two) = (Issuer::new("k"), Issuer::new("k"));
    let second = JwtRule {
        issuer: "https://second".into(),
        ..inline(&two)
    };
    let mut narrow = inline(&one);
    narrow.audiences = vec!["bank".into()];
    let rules = [narrow.clone(), second, inline(&one)];
    let of_two = two.token(&json!({"iss": "https://second", "sub": "bob"}));
    let token = check(&rules, &mut bearer(&of_two)).await.unwrap().unwrap();
    assert_eq!(token.principal(), Some("https://second/bob"));
    // The same issuer twice: what the first does not take, the other does.
    let token = check(&rules, &mut bearer(&one.token(&payload()))).await;
    assert!(token.unwrap().is_some());
    // Signed by the other issuer's key.
    let swapped = two.token(&payload());
    let answer = check(&rules, &mut bearer(&swapped)).await;
    assert_eq!(answer.err(), Some(Rejection::Audience));
    let answer = check(&rules[1..], &mut bearer(&swapped)).await;
    assert_eq!(answer.err(), Some(Rejection::Signature));
}
