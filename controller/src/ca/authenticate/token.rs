//! Pure. Reads and checks one service account token; key and time are arguments.
//!
//! Claims as the API server writes them: `iss`, `aud`, `exp`, `nbf`, `sub` and the
//! `kubernetes.io` object with namespace, service account, pod and node.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mesh::identity::{Identity, TrustDomain};
use serde::Deserialize;

use super::{AuthError, Expected};
use crate::ca::{Caller, PodReference};

/// Longest token that is read; real ones are about 1 KiB.
pub(super) const LENGTH_LIMIT: usize = 16 * 1024;
/// Clocks of issuer and controller may differ by this much.
const LEEWAY: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    sub: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

/// One audience or several: the standard allows both shapes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Audience {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    serviceaccount: Named,
    #[serde(default)]
    pod: Option<Named>,
    #[serde(default)]
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    uid: String,
}

/// The id of the key that signed `bearer`; empty when the header names none.
pub(crate) fn key_id(bearer: &str) -> Result<String, AuthError> {
    if bearer.is_empty() {
        return Err(AuthError::Missing);
    }
    if bearer.len() > LENGTH_LIMIT {
        return Err(AuthError::TooLong {
            length: bearer.len(),
            limit: LENGTH_LIMIT,
        });
    }
    let header = jsonwebtoken::decode_header(bearer).map_err(AuthError::Malformed)?;
    if header.alg != Algorithm::ES256 {
        return Err(AuthError::Algorithm {
            algorithm: format!("{:?}", header.alg),
        });
    }
    Ok(header.kid.unwrap_or_default())
}

/// Checks signature, issuer, audience and life of `bearer`, then that its claims name one caller.
pub(crate) fn check(
    bearer: &str,
    key: &DecodingKey,
    expected: &Expected,
    trust_domain: TrustDomain,
    now: SystemTime,
) -> Result<Caller, AuthError> {
    let claims = verify_signature(bearer, key)?;
    if claims.iss != expected.issuer {
        return Err(AuthError::Issuer {
            found: claims.iss,
            expected: expected.issuer.clone(),
        });
    }
    check_life(&claims, now)?;
    let caller = caller(&claims, trust_domain)?;
    let audiences = claims.aud.into_vec();
    if !audiences
        .iter()
        .any(|audience| expected.audiences.contains(audience))
    {
        let expected = expected.audiences.clone();
        return Err(AuthError::Audience {
            found: audiences,
            expected,
        });
    }
    Ok(caller)
}

fn verify_signature(bearer: &str, key: &DecodingKey) -> Result<Claims, AuthError> {
    let mut validation = Validation::new(Algorithm::ES256);
    // Issuer, audience and life are checked here with the caller's clock and precise reasons.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    match jsonwebtoken::decode::<Claims>(bearer, key, &validation) {
        Ok(token) => Ok(token.claims),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
            Err(AuthError::Signature(error))
        }
        Err(error) => Err(AuthError::Malformed(error)),
    }
}

fn check_life(claims: &Claims, now: SystemTime) -> Result<(), AuthError> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let latest = claims.exp.saturating_add(LEEWAY.as_secs());
    if now >= latest {
        return Err(AuthError::Expired {
            seconds: now - claims.exp,
        });
    }
    match claims.nbf {
        Some(not_before) if not_before > now.saturating_add(LEEWAY.as_secs()) => {
            Err(AuthError::NotYetValid {
                seconds: not_before - now,
            })
        }
        _ => Ok(()),
    }
}

fn caller(claims: &Claims, trust_domain: TrustDomain) -> Result<Caller, AuthError> {
    let Kubernetes {
        namespace,
        serviceaccount,
        pod,
        node,
    } = &claims.kubernetes;
    let subject = format!("system:serviceaccount:{namespace}:{}", serviceaccount.name);
    if claims.sub != subject {
        return Err(AuthError::Claim { claim: "sub" });
    }
    let identity = Identity::new(
        trust_domain,
        namespace.as_str(),
        serviceaccount.name.as_str(),
    );
    if Identity::parse(&identity.to_string()).is_err() {
        return Err(AuthError::Claim {
            claim: "kubernetes.io/serviceaccount",
        });
    }
    let pod = match pod {
        Some(pod) if pod.name.is_empty() || pod.uid.is_empty() => {
            return Err(AuthError::Claim {
                claim: "kubernetes.io/pod",
            });
        }
        Some(pod) => Some(PodReference {
            name: pod.name.as_str().into(),
            uid: pod.uid.as_str().into(),
        }),
        None => None,
    };
    let node = node.as_ref().map(|node| Arc::from(node.name.as_str()));
    Ok(Caller {
        identity,
        pod,
        node,
    })
}

#[cfg(test)]
mod tests;
