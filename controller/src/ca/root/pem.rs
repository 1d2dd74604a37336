//! Pure. Cuts a PEM text into its certificates.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::RootError;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One certificate of a text.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// PEM of its own, newline at the end.
    pub(super) text: String,
    /// What it holds; two texts may hold the same.
    pub(super) der: CertificateDer<'static>,
}

/// Each certificate of `text`; what stands around them is dropped.
pub(super) fn certificates(text: &str, path: &Path) -> Result<Vec<Certificate>, RootError> {
    let mut found = Vec::new();
    for rest in text.split(BEGIN).skip(1) {
        let damaged = || RootError::Content {
            path: path.to_owned(),
            problem: "has a damaged certificate",
        };
        let (body, _) = rest.split_once(END).ok_or_else(damaged)?;
        let text = format!("{BEGIN}\n{}\n{END}\n", body.trim().replace('\r', ""));
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| damaged())?;
        found.push(Certificate { text, der });
    }
    Ok(found)
}
