//! The signing root: made once and kept in the state directory, or plugged in by the operator.
//!
//! A private key and its certificate live in one file, so that a crash never leaves one without
//! the other. A file that cannot be read is an error that names it; it is never replaced.

pub(super) mod plugged;
mod pem;
mod keep;

use std::path::{Path, PathBuf};

use mesh::identity::TrustDomain;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use pem::Certificate;

/// The file with key and certificate of a root that Weft made, in the state directory.
pub const PRIVATE_FILE: &str = "ca.pem";
/// The public copy of the root, in the state directory; nodes trust the controller by it.
pub const PUBLIC_FILE: &str = "root-cert.pem";

/// Life of a root that Weft makes.
const ROOT_LIFE: Duration = Duration::days(3650);
/// Clocks may be this far behind the controller's. Source: docs/compat.md#certificate-service.
pub(super) const BACKDATE: Duration = Duration::minutes(2);

/// Why there is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A file or directory cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// `read`, `create`, ...
        action: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than what it must hold.
    #[error("{} {problem}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The public copy is there but the private file is gone: making a new root would leave every
    /// running proxy with a root that nobody signs with.
    #[error("{} exists but {} is missing: put it back, or remove both to start anew",
        public.display(), private.display())]
    Lost {
        /// The public copy.
        public: PathBuf,
        /// The missing file.
        private: PathBuf,
    },
    /// Key or certificate could not be made.
    #[error("cannot make a signing root")]
    Make(#[source] rcgen::Error),
}

/// What certificates are signed with. Has no `Debug`: it holds a private key.
pub struct SigningRoot {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// When the signing certificate stops being valid; nothing it signs lives longer.
    pub(super) not_after: OffsetDateTime,
    /// The signing certificate and those between it and the roots, PEM, one each; empty when the
    /// signing certificate is the root.
    pub(super) intermediates: Vec<String>,
    /// All roots, PEM.
    roots: String,
}

impl SigningRoot {
    /// The root kept in `directory`, made there if there never was one.
    ///
    /// # Errors
    /// When a file is damaged, lost or not accessible; names it and leaves it as it is.
    pub fn load_or_create(
        directory: &Path,
        trust_domain: &TrustDomain,
        now: OffsetDateTime,
    ) -> Result<Self, RootError> {
        let private = directory.join(PRIVATE_FILE);
        let public = directory.join(PUBLIC_FILE);
        keep::prepare(directory)?;
        if keep::read_if_there(&private)?.is_none() {
            if keep::read_if_there(&public)?.is_some() {
                return Err(RootError::Lost { public, private });
            }
            let made = make(trust_domain, now)?;
            // Another process may have been quicker: then its file stands, and is read below.
            keep::create_new(&private, &made)?;
        }
        if keep::is_open_to_all(&private)? {
            return Err(content(
                &private,
                "is open to every user of the machine, and must be its owner's alone (mode 0600)",
            ));
        }
        let root = Self::read(&keep::read(&private)?, &private)?;
        root.publish(directory)?;
        Ok(root)
    }

    /// A root that is kept nowhere.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn unkept(now: OffsetDateTime) -> Result<Self, RootError> {
        let made = make(&TrustDomain::default(), now)?;
        Self::read(&made, Path::new(PRIVATE_FILE))
    }

    /// What [`make`] made.
    fn read(text: &str, path: &Path) -> Result<Self, RootError> {
        let certificates = pem::certificates(text, path)?;
        let [certificate] = certificates.as_slice() else {
            return Err(content(path, "does not hold exactly one certificate"));
        };
        let roots = certificate.text.clone();
        Self::assemble(text, path, certificate, Vec::new(), roots)
    }

    /// Writes the public copy of the roots into `directory`, unless it is there already.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn publish(&self, directory: &Path) -> Result<(), RootError> {
        keep::prepare(directory)?;
        let public = directory.join(PUBLIC_FILE);
        if keep::read_if_there(&public)?.as_deref() == Some(self.roots()) {
            return Ok(());
        }
        keep::replace(&public, self.roots())
    }

    /// Every root, PEM: what peers must trust.
    pub fn roots(&self) -> &str {
        &self.roots
    }

    /// When the signing certificate stops being valid.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// `between` stands between leaves and the roots, the signer itself first unless it is a root.
    fn assemble(
        key_text: &str,
        key_path: &Path,
        signer: &Certificate,
        between: Vec<Certificate>,
        roots: String,
    ) -> Result<Self, RootError> {
        let key = PrivateKeyDer::from_pem_slice(key_text.as_bytes())
            .map_err(|_| content(key_path, "holds no readable private key"))?;
        let key =
            KeyPair::try_from(&key).map_err(|_| content(key_path, "holds an unsuitable key"))?;
        let parsed = parse(signer, key_path)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(content(
                key_path,
                "holds a key that is not the certificate's",
            ));
        }
        if !parsed.is_ca() {
            return Err(content(
                key_path,
                "belongs to a certificate that may not sign others",
            ));
        }
        // A chain is good for as long as everything in it is.
        let mut not_after = parsed.validity().not_after.to_datetime();
        for one in &between {
            not_after = not_after.min(parse(one, key_path)?.validity().not_after.to_datetime());
        }
        let issuer = Issuer::from_ca_cert_der(&signer.der, key)
            .map_err(|_| content(key_path, "belongs to a certificate that cannot sign"))?;
        Ok(Self {
            issuer,
            not_after,
            intermediates: between.into_iter().map(|one| one.text).collect(),
            roots,
        })
    }
}

fn parse<'a>(one: &'a Certificate, key_path: &Path) -> Result<X509Certificate<'a>, RootError> {
    X509Certificate::from_der(&one.der)
        .map(|(_, parsed)| parsed)
        .map_err(|_| content(key_path, "has an unreadable certificate beside it"))
}

fn content(path: &Path, problem: &'static str) -> RootError {
    RootError::Content {
        path: path.to_owned(),
        problem,
    }
}

/// A new key and its self-signed certificate, PEM, key first.
fn make(trust_domain: &TrustDomain, now: OffsetDateTime) -> Result<String, RootError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(RootError::Make)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, trust_domain.as_str());
    params
        .distinguished_name
        .push(DnType::CommonName, "weft root");
    params.not_before = now - BACKDATE;
    params.not_after = now + ROOT_LIFE;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(RootError::Make)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

#[cfg(test)]
mod tests;
