//! Pure. Reads a token that nobody has verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::rejection::Rejection;

/// Longest token that is read, in bytes.
const LENGTH_LIMIT: usize = 32 * 1024;

/// A token as it claims to be.
pub(crate) struct Unverified<'t> {
    /// Header and payload with the dot between them: what is signed.
    pub(crate) signed: &'t str,
    /// Base64.
    pub(crate) signature: &'t str,
    /// How it is signed.
    pub(crate) algorithm: Algorithm,
    /// With which key.
    pub(crate) key_id: Option<String>,
    /// What it says.
    pub(crate) payload: Map<String, Value>,
    /// The same, as it was sent.
    pub(crate) payload_text: &'t str,
}

impl Unverified<'_> {
    /// `iss`; empty without one.
    pub(crate) fn issuer(&self) -> &str {
        let issuer = self.payload.get("iss").and_then(Value::as_str);
        issuer.unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// Takes a token apart.
pub(crate) fn parse(text: &str) -> Result<Unverified<'_>, Rejection> {
    if text.len() > LENGTH_LIMIT {
        return Err(Rejection::Form);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(Rejection::Form)?;
    let (header, payload_text) = signed.split_once('.').ok_or(Rejection::Form)?;
    if payload_text.contains('.') {
        return Err(Rejection::Form);
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let header: Header = decode(header)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(Rejection::Header)?;
    if header.crit.is_some() {
        return Err(Rejection::Critical);
    }
    let algorithm = algorithm(&header.alg).ok_or(Rejection::Algorithm)?;
    let payload = decode(payload_text)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or(Rejection::Payload)?;
    decode(signature).ok_or(Rejection::SignatureForm)?;
    Ok(Unverified {
        signed,
        signature,
        algorithm,
        key_id: header.kid,
        payload,
        payload_text,
    })
}

/// The ways of signing that are taken: none where verifier and signer share a secret.
fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let [header, payload] = [header, payload].map(|it| URL_SAFE_NO_PAD.encode(it));
        format!("{header}.{payload}.c2ln")
    }

    #[test]
    fn tokens_that_cannot_be_read_are_named() {
        let good = r#"{"alg":"ES256","kid":"k"}"#;
        for (text, expected) in [
            ("".to_owned(), Rejection::Form),
            ("a.b".to_owned(), Rejection::Form),
            ("a.b.c.d".to_owned(), Rejection::Form),
            ("x".repeat(LENGTH_LIMIT + 1), Rejection::Form),
            ("!!.e30.c2ln".to_owned(), Rejection::Header),
            (token("no json", "{}"), Rejection::Header),
            (token(r#"{"kid":"k"}"#, "{}"), Rejection::Header),
            (token(r#"{"alg":"none"}"#, "{}"), Rejection::Algorithm),
            (token(r#"{"alg":"HS256"}"#, "{}"), Rejection::Algorithm),
            (
                token(r#"{"alg":"RS256","crit":["b64"]}"#, "{}"),
                Rejection::Critical,
            ),
            (token(good, "[]"), Rejection::Payload),
            (format!("{}!", token(good, "{}")), Rejection::SignatureForm),
        ] {
            assert_eq!(parse(&text).err(), Some(expected), "{text}");
        }
        let text = token(good, r#"{"iss":"i"}"#);
        let read = parse(&text).unwrap();
        assert_eq!((read.issuer(), read.key_id.as_deref()), ("i", Some("k")));
    }
}
