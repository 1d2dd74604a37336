//! The issuer's public keys: a JSON key set in a file, read again when the file changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};

use super::{AuthError, KeysError};
use crate::ca::stamp::Stamp;

/// A key file and what it held when it was last read.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
    state: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    stamp: Option<Stamp>,
    keys: BTreeMap<String, Arc<DecodingKey>>,
}

impl KeyFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::default(),
        }
    }

    /// The key with id `id`. A file that turned bad leaves the keys it held before in use.
    pub(super) fn find(&self, id: &str) -> Result<Arc<DecodingKey>, AuthError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(source) = state.refresh(&self.path) {
            if state.keys.is_empty() {
                return Err(AuthError::Keys {
                    path: self.path.clone(),
                    source,
                });
            }
            tracing::warn!(path = %self.path.display(), error = %source,
                "cannot read the issuer's keys again, keeping the ones read before");
        }
        state
            .keys
            .get(id)
            .cloned()
            .ok_or_else(|| AuthError::UnknownKey {
                // Nobody has vouched for it: the log gets its beginning only.
                id: id.chars().take(64).collect(),
            })
    }
}

impl Loaded {
    fn refresh(&mut self, path: &Path) -> Result<(), KeysError> {
        let stamp = Stamp::of(path).map_err(KeysError::Read)?;
        if self.stamp == Some(stamp) {
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(KeysError::Read)?;
        self.keys = parse(&bytes)?;
        self.stamp = Some(stamp);
        Ok(())
    }
}

/// The P-256 keys of a key set by id; keys of other shapes are left out.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Arc<DecodingKey>>, KeysError> {
    let set: JwkSet = serde_json::from_slice(bytes).map_err(KeysError::Parse)?;
    let mut keys = BTreeMap::new();
    for jwk in &set.keys {
        let is_p256 = matches!(&jwk.algorithm,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256);
        if !is_p256 {
            continue;
        }
        if let Ok(key) = DecodingKey::from_jwk(jwk) {
            keys.insert(jwk.common.key_id.clone().unwrap_or_default(), Arc::new(key));
        }
    }
    if keys.is_empty() {
        Err(KeysError::Empty)
    } else {
        Ok(keys)
    }
}
