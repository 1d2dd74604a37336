//! The token issuer: signs service account tokens as the API server does, with a key made at start.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use objects::kinds::{Key, Kind};
use serde_json::{Value, json};

use crate::cluster::View;

/// The `iss` claim.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Audience of tokens for the mesh's own authority.
pub(crate) const MESH_AUDIENCE: &str = "istio-ca";
/// Life of a token when nobody asks for another one; it is renewed long before.
pub(crate) const LIFE: Duration = Duration::from_secs(3600);

/// Why there is no issuer or no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot make the token issuer's key")]
    Key(#[from] rcgen::Error),
    #[error("cannot sign tokens")]
    Sign(#[from] jsonwebtoken::errors::Error),
    #[error("cannot write the token issuer's keys")]
    Write(#[source] std::io::Error),
}

/// Whose token it is.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    pub(crate) pod: String,
    pub(crate) pod_uid: String,
    pub(crate) node: String,
}

/// Signs tokens. Its key never leaves the process.
pub(crate) struct Issuer {
    key: EncodingKey,
    key_id: String,
    public: Vec<u8>,
}

impl Issuer {
    /// An issuer with a new P-256 key.
    pub(crate) fn new() -> Result<Self, Error> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let key = EncodingKey::from_ec_der(&pair.serialize_der());
        let public = pair.public_key_raw().to_vec();
        let key_id = URL_SAFE_NO_PAD.encode(public.get(1..17).unwrap_or_default());
        Ok(Self {
            key,
            key_id,
            public,
        })
    }

    /// The public half as a JSON web key set.
    pub(crate) fn key_set(&self) -> Value {
        // An uncompressed point: one byte, then both coordinates.
        let coordinate = |from: usize| {
            URL_SAFE_NO_PAD.encode(self.public.get(from..from + 32).unwrap_or_default())
        };
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": self.key_id, "x": coordinate(1), "y": coordinate(33)}]})
    }

    /// Writes the key set for the controller.
    pub(crate) fn write_key_set(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.key_set().to_string()).map_err(Error::Write)
    }

    /// A token for `bearer`; uids of what it names come from the picture.
    pub(crate) fn token(
        &self,
        view: &View,
        bearer: &Bearer,
        audience: &str,
        life: Duration,
    ) -> Result<String, Error> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let uid = |kind, namespace: &str, name: &str| {
            let key = Key::new(kind, namespace, name);
            match view.get(&key) {
                Some(object) => object.metadata().uid.clone(),
                None => objects::uid::derive(&key, 0),
            }
        };
        let Bearer {
            namespace,
            service_account,
            pod,
            pod_uid,
            node,
        } = bearer;
        let claims = json!({
            "iss": ISSUER,
            "aud": [audience],
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
            "iat": now,
            "nbf": now,
            "exp": now + life.as_secs(),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {
                    "name": service_account,
                    "uid": uid(Kind::ServiceAccount, namespace, service_account),
                },
                "pod": {"name": pod, "uid": pod_uid},
                "node": {"name": node, "uid": uid(Kind::Node, "", node)},
            },
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

/// Replaces a file as a whole: a reader sees the old text or the new one. Readable by every user inside.
pub(crate) fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, text)?;
    std::fs::rename(next, path)
}
