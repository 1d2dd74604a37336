//! An in-memory certificate authority that also makes the wrong kinds of certificates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::cert::{CertificateAuthority, SignError};
use crate::identity::Identity;
use crate::tls::Credentials;

/// An authority that signs: a root, or one below it.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What stands between its leaves and the root, PEM, itself first; empty for a root.
    between: String,
    root: String,
}

/// What a leaf should hold; the default is right for a workload, for an hour.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// URI names, in order.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// Extended key usage.
    pub purposes: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    /// A leaf for `identity`.
    pub fn of(identity: &Identity) -> Self {
        let now = SystemTime::now();
        Self {
            uris: vec![identity.to_string()],
            dns: Vec::new(),
            not_before: now - Duration::from_secs(120),
            not_after: now + Duration::from_secs(3600),
            purposes: vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.dns.clone()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for uri in &self.uris {
            let uri = Ia5String::try_from(uri.as_str()).unwrap();
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.purposes.clone();
        params
    }
}

impl Ca {
    /// A new root.
    pub fn new() -> Self {
        Self::named("test root")
    }

    /// A new root of that name.
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(authority(name), key).unwrap();
        Self {
            between: String::new(),
            root: issuer.pem(),
            issuer,
        }
    }

    /// An authority below this one, with a name of its own.
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| {})
    }

    /// The same with something changed.
    pub fn intermediate_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        Self {
            between: issuer.pem() + &self.between,
            root: self.root.clone(),
            issuer,
        }
    }

    /// The root certificate.
    pub fn root_pem(&self) -> String {
        self.root.clone()
    }

    /// This authority's own certificate and those above it short of the root, PEM, and its key: what an
    /// operator plugs in.
    pub fn plug_pem(&self) -> (String, String) {
        let chain = if self.between.is_empty() {
            &self.root
        } else {
            &self.between
        };
        (chain.clone(), self.issuer.key().serialize_pem())
    }

    /// A new key and a certificate for it, both PEM: chain first.
    pub fn issue_pem(&self, leaf: &Leaf) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.params().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem() + &self.between, key.serialize_pem())
    }

    /// Usable credentials for `identity`, trusting this root.
    pub fn issue(&self, identity: &Identity) -> Arc<Credentials> {
        self.issue_as(identity, &Leaf::of(identity), &self.root_pem())
    }

    /// Credentials of `identity` with a leaf of one's choice, trusting `roots`.
    pub fn issue_as(&self, identity: &Identity, leaf: &Leaf, roots: &str) -> Arc<Credentials> {
        let (chain, key) = self.issue_pem(leaf);
        Arc::new(Credentials::from_pem(identity.clone(), &chain, &key, roots).unwrap())
    }

    /// Signs the key of a request for `leaf`, whatever the request says.
    pub fn sign_request(&self, csr_pem: &str, leaf: &Leaf) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        request.params = leaf.params();
        request.signed_by(&self.issuer).unwrap().pem()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Default for Ca {
    fn default() -> Self {
        Self::new()
    }
}

impl CertificateAuthority for Ca {
    async fn sign(
        &self,
        identity: &Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> Result<Vec<String>, SignError> {
        let not_after = SystemTime::now() + ttl;
        let leaf = Leaf {
            not_after,
            ..Leaf::of(identity)
        };
        Ok(vec![self.sign_request(&csr_pem, &leaf), self.root_pem()])
    }
}

/// `spiffe://cluster.local/ns/<namespace>/sa/<account>`.
pub fn identity(namespace: &str, account: &str) -> Identity {
    Identity::new(crate::identity::TrustDomain::default(), namespace, account)
}
