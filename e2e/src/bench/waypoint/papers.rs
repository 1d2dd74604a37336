//! An authority of the bench's own, and certificates of its two parties.

use std::time::Duration;

use anyhow::Result;
use mesh::cert::{CertificateAuthority, SignError};
use mesh::identity::{Identity, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

/// Signs for everybody who asks.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate, its key and the root, PEM.
pub(super) struct Papers {
    pub(super) chain: String,
    pub(super) key: String,
    pub(super) root: String,
}

/// The identity of a service account.
pub(super) fn identity(account: &str) -> Identity {
    Identity::new(TrustDomain::default(), "shop", account)
}

impl Ca {
    pub(super) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(issuer))
    }

    pub(super) fn issue(&self, identity: &Identity) -> Result<Papers> {
        let key = KeyPair::generate()?;
        let certificate = params(identity)?.signed_by(&key, &self.0)?;
        Ok(Papers {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            root: self.0.pem(),
        })
    }
}

fn params(identity: &Identity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .subject_alt_names
        .push(SanType::URI(identity.to_string().try_into()?));
    params.not_before = time::OffsetDateTime::now_utc() - Duration::from_secs(60);
    params.not_after = time::OffsetDateTime::now_utc() + Duration::from_secs(3_600);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

/// Hands out what was signed before: the waypoint of the bench is told its certificate's authority by files.
pub(super) struct Authority {
    issuer: rcgen::Issuer<'static, KeyPair>,
    root: String,
}

impl Ca {
    /// Root and its key, PEM: what [`Authority`] is made of.
    pub(super) fn pem(&self) -> (String, String) {
        (self.0.pem(), self.0.key().serialize_pem())
    }
}

impl Authority {
    pub(super) fn from_pem(root: String, key: &str) -> Result<Self> {
        let issuer = rcgen::Issuer::from_ca_cert_pem(&root, KeyPair::from_pem(key)?)?;
        Ok(Self { issuer, root })
    }

    fn leaf(&self, identity: &Identity, csr: &str) -> Result<String, rcgen::Error> {
        let mut request = CertificateSigningRequestParams::from_pem(csr)?;
        request.params = params(identity)?;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

impl CertificateAuthority for Authority {
    async fn sign(
        &self,
        identity: &Identity,
        csr_pem: String,
        _: Duration,
    ) -> Result<Vec<String>, SignError> {
        let leaf = self.leaf(identity, &csr_pem);
        // What is no certificate is refused by who asked for it, with its own words.
        Ok(vec![leaf.unwrap_or_default(), self.root.clone()])
    }
}
