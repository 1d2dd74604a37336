//! Make a key and a request, ask the authority, check what it answers.

use std::time::SystemTime;

use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{CertificateAuthority, Error, Settings};
use crate::identity::Identity;
use crate::tls::{Credentials, CredentialsError, certificates};

/// A new key for `identity`, certified by `authority`. `now` is asked for when the answer is there.
pub(super) async fn certify<A: CertificateAuthority>(
    authority: &A,
    identity: Identity,
    settings: &Settings,
    now: &(dyn Fn() -> SystemTime + Send + Sync),
) -> Result<Credentials, Error> {
    let (key, csr) = key_and_request(&identity).map_err(|source| Error::Request {
        identity: identity.clone(),
        source,
    })?;
    let parts = authority
        .sign(&identity, csr, settings.ttl)
        .await
        .map_err(|source| Error::Sign {
            identity: identity.clone(),
            source,
        })?;
    check(identity, key, &parts, now())
}

/// An ECDSA P-256 key, and a request that holds the identity as its only name (contract:
/// docs/compat.md#certificates).
fn key_and_request(identity: &Identity) -> Result<(KeyPair, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    // the library's default is a common name
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(identity.to_string())?)];
    let csr = params.serialize_request(&key)?.pem()?;
    Ok((key, csr))
}

/// The leaf must be for `identity` and for our key; the roots are in the last part, however many.
fn check(
    identity: Identity,
    key: KeyPair,
    parts: &[String],
    now: SystemTime,
) -> Result<Credentials, Error> {
    let unusable = |source| Error::Answer {
        identity: identity.clone(),
        source: Box::new(source),
    };
    let Some((roots, chain @ [_, ..])) = parts.split_last() else {
        return Err(Error::Incomplete {
            identity,
            parts: parts.len(),
        });
    };
    let roots = certificates("roots", roots).map_err(unusable)?;
    let read = |part: &String| certificates("chain", part);
    let chain = chain
        .iter()
        .map(read)
        .collect::<Result<Vec<_>, CredentialsError>>();
    let chain = chain.map_err(unusable)?.concat();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let credentials = Credentials::new(identity.clone(), chain, key, roots).map_err(unusable)?;
    if credentials.not_after() <= now || credentials.not_before() > now {
        return Err(Error::NotValidNow { identity });
    }
    Ok(credentials)
}
