//! Certificates for peers that Weft did not make: signed by the mesh's own CA, or by a stranger.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// Files of one certificate, readable inside pods.
#[derive(Clone, Debug)]
pub struct Minted {
    /// Leaf, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Root that its owner trusts, PEM.
    pub root: PathBuf,
}

/// Who signs.
pub enum Signer<'a> {
    /// The mesh's CA, by the folder in which the controller keeps it.
    Mesh(&'a Path),
    /// A CA that nobody knows.
    Stranger,
}

/// Makes a certificate with these URI names and writes its files into `folder`.
///
/// # Errors
/// When the CA cannot be read or a file not written.
pub fn mint(signer: &Signer<'_>, folder: &Path, name: &str, uris: &[&str]) -> Result<Minted> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for uri in uris {
        params.subject_alt_names.push(SanType::URI((*uri).try_into()?));
    }
    if uris.is_empty() {
        params.subject_alt_names.push(SanType::DnsName("nobody.example".try_into()?));
    }
    let (certificate, root) = match signer {
        Signer::Mesh(state) => {
            let kept = fs::read_to_string(state.join("ca.pem")).context("the mesh's CA")?;
            let root = fs::read_to_string(state.join("root-cert.pem")).context("its root")?;
            let issuer = rcgen::Issuer::from_ca_cert_pem(&root, KeyPair::from_pem(&kept)?)?;
            (params.signed_by(&key, &issuer)?, root)
        }
        Signer::Stranger => {
            let mut ca = CertificateParams::default();
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
            (params.signed_by(&key, &ca)?, ca.pem())
        }
    };
    let write = |kind: &str, text: String| -> Result<PathBuf> {
        let path = folder.join(format!("{name}-{kind}.pem"));
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    Ok(Minted {
        certificate: write("cert", certificate.pem())?,
        key: write("key", key.serialize_pem())?,
        root: write("root", root)?,
    })
}
