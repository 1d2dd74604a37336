//! Certificates for peers that Weft did not make: signed by the mesh's own CA, or by a stranger.
//!
//! The CA's key is only inside the sandbox, in the controller's folder, so this runs there.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Files of one certificate, readable inside pods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Minted {
    /// Leaf, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Root that its owner trusts, PEM.
    pub root: PathBuf,
}

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signer {
    /// The mesh's CA.
    Mesh,
    /// A CA that nobody knows.
    Stranger,
    /// Another one, which bears the name of the mesh's.
    Namesake,
}

/// What is wrong with a certificate beside who signed it and whom it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flaw {
    /// Nothing.
    Nothing,
    /// It ended an hour ago.
    Ended,
    /// It begins in an hour.
    Early,
    /// It is for servers only.
    ServersOnly,
    /// It is for clients only.
    ClientsOnly,
}

/// What is to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// Who signs.
    pub signer: Signer,
    /// The controller's folder.
    pub ca: PathBuf,
    /// Where the files go.
    pub folder: PathBuf,
    /// What their names begin with.
    pub name: String,
    /// URI names in the certificate; without any it gets a DNS name.
    pub uris: Vec<String>,
    /// What else is wrong with it.
    pub flaw: Flaw,
}

/// Subject of the mesh's own CA.
const MESH_CA: [(DnType, &str); 2] = [
    (DnType::OrganizationName, "cluster.local"),
    (DnType::CommonName, "weft root"),
];

fn spoil(params: &mut CertificateParams, flaw: Flaw) {
    let (now, hour) = (OffsetDateTime::now_utc(), Duration::hours(1));
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    match flaw {
        Flaw::Nothing => {}
        Flaw::Ended => {
            params.not_before = now - 2 * hour;
            params.not_after = now - hour;
        }
        Flaw::Early => {
            params.not_before = now + hour;
            params.not_after = now + 2 * hour;
        }
        Flaw::ServersOnly => params.extended_key_usages.truncate(1),
        Flaw::ClientsOnly => drop(params.extended_key_usages.remove(0)),
    }
}

/// Makes a certificate and writes its files.
///
/// # Errors
/// When the CA cannot be read or a file not written.
pub fn mint(wish: &Wish) -> Result<Minted> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    spoil(&mut params, wish.flaw);
    for uri in &wish.uris {
        params
            .subject_alt_names
            .push(SanType::URI(uri.as_str().try_into()?));
    }
    if wish.uris.is_empty() {
        params
            .subject_alt_names
            .push(SanType::DnsName("nobody.example".try_into()?));
    }
    let (certificate, root) = match wish.signer {
        Signer::Mesh => {
            let kept = fs::read_to_string(wish.ca.join("ca.pem")).context("the mesh's CA")?;
            let root = fs::read_to_string(wish.ca.join("root-cert.pem")).context("its root")?;
            let issuer = rcgen::Issuer::from_ca_cert_pem(&root, KeyPair::from_pem(&kept)?)?;
            (params.signed_by(&key, &issuer)?, root)
        }
        Signer::Stranger | Signer::Namesake => {
            let mut ca = CertificateParams::default();
            if wish.signer == Signer::Namesake {
                ca.distinguished_name = DistinguishedName::new();
                for (kind, name) in MESH_CA {
                    ca.distinguished_name.push(kind, name);
                }
            }
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
            (params.signed_by(&key, &ca)?, ca.pem())
        }
    };
    let write = |kind: &str, text: String| -> Result<PathBuf> {
        let path = wish.folder.join(format!("{}-{kind}.pem", wish.name));
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    Ok(Minted {
        certificate: write("cert", certificate.pem())?,
        key: write("key", key.serialize_pem())?,
        root: write("root", root)?,
    })
}
