//! The files of a signing certificate that the operator plugged in, under the public names.
//! Source: docs/compat.md#certificate-service.

use std::path::Path;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::pem::{self, Certificate};
use super::{RootError, SigningRoot, content, keep};

/// Every file that may be there.
pub(in crate::ca) const FILES: [&str; 8] = [
    "ca-cert.pem",
    "ca-key.pem",
    "root-cert.pem",
    "cert-chain.pem",
    "tls.crt",
    "tls.key",
    "ca.crt",
    REVOKED,
];

/// A revocation list.
const REVOKED: &str = "ca-crl.pem";

/// Which file holds what.
struct Names {
    certificate: &'static str,
    key: &'static str,
    roots: &'static str,
    /// What stands between the certificate and a root, where it has a file of its own.
    chain: Option<&'static str>,
}

const ISTIO: Names = Names {
    certificate: "ca-cert.pem",
    key: "ca-key.pem",
    roots: "root-cert.pem",
    chain: Some("cert-chain.pem"),
};
const KUBERNETES: Names = Names {
    certificate: "tls.crt",
    key: "tls.key",
    roots: "ca.crt",
    chain: None,
};

/// The signing certificate in `directory`, its key, what stands between it and the roots, the roots.
///
/// # Errors
/// When a file is missing or damaged, when files of both sets of names are there, or when the key
/// does not belong to the certificate.
pub(in crate::ca) fn read(directory: &Path) -> Result<SigningRoot, RootError> {
    let revoked = directory.join(REVOKED);
    if revoked.exists() {
        return Err(content(
            &revoked,
            "is a revocation list, which is not supported: it would protect nobody",
        ));
    }
    let names = names(directory)?;
    let certificate_path = directory.join(names.certificate);
    let mut above = read_certificates(&certificate_path)?;
    let signer = above.remove(0);
    if let Some(chain) = names.chain {
        let path = directory.join(chain);
        if let Some(text) = keep::read_if_there(&path)? {
            above.extend(pem::certificates(&text, &path)?);
        }
    }
    let roots = read_certificates(&directory.join(names.roots))?;
    let key_path = directory.join(names.key);
    let key = keep::read(&key_path)?;
    let path = path_to_root(signer.clone(), above, &roots);
    let roots = roots.into_iter().map(|root| root.text).collect();
    SigningRoot::assemble(&key, &key_path, &signer, path, roots)
}

fn names(directory: &Path) -> Result<Names, RootError> {
    let is_there = |names: &Names| {
        directory.join(names.certificate).exists() || directory.join(names.key).exists()
    };
    match (is_there(&ISTIO), is_there(&KUBERNETES)) {
        (true, true) => Err(content(
            directory,
            "holds ca-cert.pem or ca-key.pem and tls.crt or tls.key: which of them counts?",
        )),
        (false, true) => Ok(KUBERNETES),
        (_, false) => Ok(ISTIO),
    }
}

/// At least one certificate.
fn read_certificates(path: &Path) -> Result<Vec<Certificate>, RootError> {
    let found = pem::certificates(&keep::read(path)?, path)?;
    if found.is_empty() {
        return Err(content(path, "holds no certificate"));
    }
    Ok(found)
}

/// The signer and those above it short of a root, each followed by its issuer, however the files order
/// them. What is on no such path comes last, for peers that trust other roots.
fn path_to_root(
    signer: Certificate,
    mut above: Vec<Certificate>,
    roots: &[Certificate],
) -> Vec<Certificate> {
    let is_root = |one: &Certificate| roots.iter().any(|root| root.der == one.der);
    let mut path: Vec<Certificate> = Vec::new();
    let mut next = Some(signer);
    while let Some(one) = next.filter(|one| !is_root(one)) {
        above.retain(|other| other.der != one.der && !is_root(other));
        let issuer = above.iter().position(|other| has_issued(other, &one));
        path.push(one);
        next = issuer.map(|position| above.remove(position));
    }
    path.extend(above);
    path
}

/// Whether `one` bears the name of its issuer; signatures are looked at when the whole is tried.
fn has_issued(issuer: &Certificate, one: &Certificate) -> bool {
    let (Ok((_, issuer)), Ok((_, one))) = (
        X509Certificate::from_der(&issuer.der),
        X509Certificate::from_der(&one.der),
    ) else {
        return false;
    };
    issuer.subject().as_raw() == one.issuer().as_raw()
}
