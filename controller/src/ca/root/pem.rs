//! Pure. Cuts a PEM text into its certificates.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::RootError;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Each certificate of `text` as PEM of its own, newline at the end; text around them is dropped.
pub(super) fn certificates(text: &str, path: &Path) -> Result<Vec<String>, RootError> {
    let mut found = Vec::new();
    for rest in text.split(BEGIN).skip(1) {
        let damaged = || RootError::Content {
            path: path.to_owned(),
            problem: "has a damaged certificate",
        };
        let (body, _) = rest.split_once(END).ok_or_else(damaged)?;
        let one = format!("{BEGIN}\n{}\n{END}\n", body.trim().replace('\r', ""));
        CertificateDer::from_pem_slice(one.as_bytes()).map_err(|_| damaged())?;
        found.push(one);
    }
    Ok(found)
}
