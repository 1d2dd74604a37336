//! Whether a server outside of the mesh is one of those that were meant: a chain to the roots, then a name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::GeneralName;

use crate::tls::peer;

/// Accepts what leads to the roots and has one of the names; without names, the name that is called.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) provider: Arc<CryptoProvider>,
    /// `None` accepts any certificate.
    pub(super) roots: Option<RootCertStore>,
    /// Host names, or URIs.
    pub(super) names: Vec<Arc<str>>,
}

impl Verifier {
    fn has_name(
        &self,
        certificate: &ParsedCertificate<'_>,
        der: &CertificateDer<'_>,
        called: &ServerName<'_>,
    ) -> Result<(), Error> {
        if self.names.is_empty() {
            return verify_server_name(certificate, called);
        }
        let is_named = self.names.iter().any(|name| match name.contains("://") {
            true => has_uri(der, name),
            false => ServerName::try_from(&**name)
                .is_ok_and(|name| verify_server_name(certificate, &name).is_ok()),
        });
        match is_named {
            true => Ok(()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }
}

fn has_uri(der: &CertificateDer<'_>, wanted: &str) -> bool {
    let certificate = peer::parse(der);
    let names = certificate
        .as_ref()
        .and_then(|it| it.subject_alternative_name().ok().flatten());
    names.is_some_and(|names| {
        let mut names = names.value.general_names.iter();
        names.any(|name| matches!(name, GeneralName::URI(uri) if *uri == wanted))
    })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            algorithms,
        )?;
        self.has_name(&certificate, end_entity, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
