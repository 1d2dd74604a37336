//! A token issuer for tests, shaped like the API server's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const ISSUER: &str = "https://issuer.test";

pub(crate) struct Issuer {
    key: EncodingKey,
    id: String,
}

impl Issuer {
    pub(crate) fn new(id: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
        Self {
            key,
            id: id.to_owned(),
        }
    }

    /// The key set that verifies its tokens.
    pub(crate) fn key_set(&self) -> String {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap()
    }

    /// A good token of a pod, changed by `edit`.
    pub(crate) fn token(&self, pod: &Pod<'_>, edit: impl FnOnce(&mut Value)) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": ISSUER,
            "aud": ["istio-ca"],
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "sub": format!("system:serviceaccount:{}:{}", pod.namespace, pod.account),
            "kubernetes.io": {
                "namespace": pod.namespace,
                "serviceaccount": {"name": pod.account, "uid": "s"},
                "pod": {"name": pod.name, "uid": pod.uid},
                "node": {"name": pod.node, "uid": "n"},
            },
        });
        edit(&mut claims);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// A pod as its token describes it.
pub(crate) struct Pod<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) account: &'a str,
    pub(crate) node: &'a str,
}
