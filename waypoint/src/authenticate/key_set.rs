//! Pure. JSON key sets: which keys may verify which tokens.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::token::Unverified;

/// Most keys that are taken from one set.
const KEY_LIMIT: usize = 100;
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The keys of an issuer.
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// One of them.
pub(crate) struct Key {
    id: Option<String>,
    /// The ways of signing that this kind of key is for; a token cannot choose another.
    algorithms: &'static [Algorithm],
    /// The only one of them, when the set says so.
    only: Option<Algorithm>,
    pub(crate) key: DecodingKey,
}

/// A key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It cannot be read.
    #[error("not a JSON key set")]
    Json(#[source] serde_json::Error),
    /// Nothing in it can verify a signature.
    #[error(
        "none of the {0} keys is a public key for RSA, EC (P-256, P-384) or Ed25519 signatures"
    )]
    Empty(usize),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set; keys of other kinds or for other uses are left out.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        let document: Document = serde_json::from_slice(bytes).map_err(KeySetError::Json)?;
        let count = document.keys.len();
        let keys: Vec<_> = document
            .keys
            .into_iter()
            .filter_map(key)
            .take(KEY_LIMIT)
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty(count));
        }
        Ok(Self { keys })
    }

    /// The keys that may have signed a token.
    pub(crate) fn for_token(&self, token: &Unverified<'_>) -> impl Iterator<Item = &Key> {
        let (id, algorithm) = (token.key_id.clone(), token.algorithm);
        self.keys.iter().filter(move |key| {
            let is_named = match (&key.id, &id) {
                (Some(own), Some(wanted)) => own == wanted,
                _ => true,
            };
            is_named
                && key.algorithms.contains(&algorithm)
                && key.only.is_none_or(|it| it == algorithm)
        })
    }
}

fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let algorithms: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => RSA,
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P256 => {
            &[Algorithm::ES256]
        }
        AlgorithmParameters::EllipticCurve(it) if it.curve == EllipticCurve::P384 => {
            &[Algorithm::ES384]
        }
        AlgorithmParameters::OctetKeyPair(it) if it.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => return None,
    };
    let is_for_signatures = jwk
        .common
        .public_key_use
        .as_ref()
        .is_none_or(|it| *it == PublicKeyUse::Signature);
    let operations = jwk.common.key_operations.as_ref();
    if !is_for_signatures || operations.is_some_and(|it| !it.contains(&KeyOperations::Verify)) {
        return None;
    }
    let only = match &jwk.common.key_algorithm {
        None => None,
        Some(named) => Some(only(named)?),
    };
    Some(Key {
        key: DecodingKey::from_jwk(&jwk).ok()?,
        id: jwk.common.key_id.filter(|it| !it.is_empty()),
        algorithms,
        only,
    })
}

fn only(named: &KeyAlgorithm) -> Option<Algorithm> {
    named.to_string().parse().ok()
}
