//! What must hold of the parsers of what callers of the certificate service send, whatever the bytes. The fuzz
//! targets in `controller/fuzz` and the test below call the same functions; a finding is a panic.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use mesh::identity::{Identity, TrustDomain};
use mesh::testing::fuzz::Target;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use time::OffsetDateTime;

use crate::ca::authenticate::{Expected, token};
use crate::ca::root::SigningRoot;
use crate::ca::sign::{self, Lives, Moment};

/// All of them.
pub const TARGETS: [Target; 2] = [
    Target::new("signing_request", signing_request, signing_requests),
    Target::new("service_token", service_token, service_tokens),
];

/// 2027; what is made here is always made then.
const NOW: u64 = 1_800_000_000;

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

static ROOT: LazyLock<SigningRoot> = LazyLock::new(|| SigningRoot::unkept(now()).unwrap());

/// The keys of a token issuer.
struct Issuer {
    sign: EncodingKey,
    verify: DecodingKey,
}

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let sign = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
    let public = Jwk::from_encoding_key(&sign, Algorithm::ES256).unwrap();
    Issuer {
        verify: DecodingKey::from_jwk(&public).unwrap(),
        sign,
    }
});

/// A signing request in PEM: whatever it says, what is signed names who was allowed, and is good for a minute.
pub fn signing_request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let web = Identity::new(TrustDomain::default(), "shop", "web");
    let minute = time::Duration::MINUTE;
    let lives = Lives {
        default: minute,
        max: minute,
    };
    let moment = Moment {
        now: now(),
        serial: [1; 16],
    };
    let Ok(signed) = sign::sign(&ROOT, lives, moment, text, &web, 0) else {
        return;
    };
    assert_eq!(signed.not_after, now() + minute);
    let leaf = signed.chain.first().unwrap();
    let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
    assert_eq!(mesh::tls::leaf_identity(&leaf), Some(web));
}

fn signing_requests() -> Vec<Vec<u8>> {
    let request = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(["web.example".to_owned()]).unwrap();
        let request = params.serialize_request(&key).unwrap();
        request.pem().unwrap().into_bytes()
    };
    vec![
        request(&rcgen::PKCS_ECDSA_P256_SHA256),
        request(&rcgen::PKCS_ED25519),
    ]
}

/// A token, or claims that the issuer has signed: nobody but the issuer makes a caller, and a caller
/// has a name that can be written down.
pub fn service_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let expected = Expected {
        issuer: "issuer".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
    };
    let at = UNIX_EPOCH + Duration::from_secs(NOW);
    let check = |bearer: &str| {
        token::key_id(bearer)?;
        token::check(
            bearer,
            &ISSUER.verify,
            &expected,
            TrustDomain::default(),
            at,
        )
    };
    assert!(check(text).is_err(), "the issuer has signed no text");
    let Ok(claims) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let Ok(bearer) = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &ISSUER.sign)
    else {
        return;
    };
    if let Ok(caller) = check(&bearer) {
        let identity = caller.identity.to_string();
        assert_eq!(Identity::parse(&identity), Ok(caller.identity));
        assert!(
            caller
                .pod
                .is_none_or(|it| !it.name.is_empty() && !it.uid.is_empty())
        );
    }
}

fn service_tokens() -> Vec<Vec<u8>> {
    let claims = serde_json::json!({
        "iss": "issuer",
        "aud": ["istio-ca"],
        "nbf": NOW,
        "exp": NOW + 3600,
        "sub": "system:serviceaccount:shop:web",
        "kubernetes.io": {
            "namespace": "shop",
            "serviceaccount": {"name": "web", "uid": "s"},
            "pod": {"name": "web-0", "uid": "u"},
            "node": {"name": "a", "uid": "n"},
        },
    });
    let header = Header::new(Algorithm::ES256);
    let stranger = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let stranger = EncodingKey::from_ec_pem(stranger.serialize_pem().as_bytes()).unwrap();
    let forged = jsonwebtoken::encode(&header, &claims, &stranger).unwrap();
    vec![claims.to_string().into_bytes(), forged.into_bytes()]
}

#[cfg(test)]
mod tests {
    use mesh::testing::fuzz::{drive, names, targets_in};

    use super::*;

    #[test]
    fn requests_and_tokens_keep_their_promises_whatever_the_bytes() {
        for target in &TARGETS {
            drive(target);
        }
    }

    #[test]
    fn every_parser_has_a_fuzz_target_and_every_fuzz_target_a_parser() {
        assert_eq!(targets_in(env!("CARGO_MANIFEST_DIR")), names(&TARGETS));
    }
}
