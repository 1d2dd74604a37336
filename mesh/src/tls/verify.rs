//! Who may be at the other end: a chain to our roots first, then the SPIFFE id.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore,
    SignatureScheme,
};

use super::{CredentialsError, Error, peer, provider};
use crate::identity::{Identity, TrustDomain};

/// Our part of the refusals, carried through rustls.
#[derive(Clone, Debug, thiserror::Error)]
enum Unacceptable {
    #[error("no workload identity")]
    NoSpiffeId,
    #[error("trust domain {got}")]
    WrongTrustDomain {
        got: TrustDomain,
        expected: TrustDomain,
    },
    #[error("identity {got}")]
    WrongIdentity {
        got: Identity,
        expected: Arc<[Identity]>,
    },
}

impl From<Unacceptable> for rustls::Error {
    fn from(reason: Unacceptable) -> Self {
        CertificateError::Other(OtherError(Arc::new(reason))).into()
    }
}

/// Sorts why a certificate was refused; `cause` is kept for what has no name of its own.
pub(super) fn sort(reason: &CertificateError, cause: &rustls::Error) -> Error {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Error::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Error::NotYetValid
        }
        CertificateError::UnknownIssuer => Error::UnknownIssuer,
        CertificateError::BadSignature => Error::BadSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Error::WrongPurpose
        }
        CertificateError::Other(OtherError(other)) => {
            match other.downcast_ref::<Unacceptable>().cloned() {
                Some(Unacceptable::NoSpiffeId) => Error::NoSpiffeId,
                Some(Unacceptable::WrongTrustDomain { got, expected }) => {
                    Error::WrongTrustDomain { got, expected }
                }
                Some(Unacceptable::WrongIdentity { got, expected }) => {
                    Error::WrongIdentity { got, expected }
                }
                None => Error::BadCertificate(cause.clone()),
            }
        }
        _ => Error::BadCertificate(cause.clone()),
    }
}

/// A chain whose signatures do not fit was made by somebody who only bears our root's name, for
/// example an older root of ours that nobody trusts any more: nobody we know has issued it.
fn unknown(error: rustls::Error) -> rustls::Error {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            CertificateError::UnknownIssuer.into()
        }
        other => other,
    }
}

/// Whether a peer that trusts `roots` would take `chain` (the leaf first) from a workload of the leaf's
/// trust domain, as a client and as a server, at `now`.
///
/// # Errors
/// What it would say.
pub fn check_chain(
    chain: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
    now: SystemTime,
) -> Result<(), Error> {
    let unreadable = || rustls::Error::from(CertificateError::BadEncoding);
    let Some((leaf, between)) = chain.split_first() else {
        return Err(Error::NoCertificate);
    };
    let check = || {
        let identity = identities_of(leaf)?
            .into_iter()
            .next()
            .ok_or(Unacceptable::NoSpiffeId)?;
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root.clone())?;
        }
        let store = Arc::new(store);
        let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since_1970.unwrap_or_default());
        let clients = ClientVerifier::new(Arc::clone(&store), identity.trust_domain.clone())
            .map_err(|_| unreadable())?;
        clients.verify_client_cert(leaf, between, now)?;
        let name = ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        ServerVerifier::new(store, Arc::new([identity])).verify_server_cert(
            leaf,
            between,
            &name,
            &[],
            now,
        )?;
        Ok(())
    };
    check().map_err(|error: rustls::Error| Error::from_rustls(&error))
}

fn identities_of(end_entity: &CertificateDer<'_>) -> Result<Vec<Identity>, rustls::Error> {
    let certificate = peer::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
    Ok(peer::identities(&certificate).collect())
}

/// Accepts clients with a chain to our roots, meant for clients, of our own trust domain
/// (contract: docs/compat.md#hbone-tls).
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
}

impl ClientVerifier {
    pub(super) fn new(
        roots: Arc<RootCertStore>,
        trust_domain: TrustDomain,
    ) -> Result<Self, CredentialsError> {
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        // hints would only tell strangers whom we trust
        let chain = builder
            .clear_root_hint_subjects()
            .build()
            .map_err(CredentialsError::Roots)?;
        Ok(Self {
            chain,
            trust_domain,
        })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(unknown)?;
        let got = identities_of(end_entity)?
            .into_iter()
            .next()
            .ok_or(Unacceptable::NoSpiffeId)?;
        if got.trust_domain != self.trust_domain {
            let expected = self.trust_domain.clone();
            return Err(Unacceptable::WrongTrustDomain {
                got: got.trust_domain,
                expected,
            }
            .into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Accepts servers with a chain to our roots, meant for servers, that are one of the expected
/// identities. The name given by TLS plays no part.
pub(super) struct ServerVerifier {
    roots: Arc<RootCertStore>,
    expected: Arc<[Identity]>,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    pub(super) fn new(roots: Arc<RootCertStore>, expected: Arc<[Identity]>) -> Self {
        Self {
            roots,
            expected,
            provider: provider(),
        }
    }

    /// Why `got` is not who was expected: where nobody of its trust domain was, that is the reason.
    fn somebody_else(&self, got: Identity) -> Unacceptable {
        let is_foreign = |one: &Identity| one.trust_domain != got.trust_domain;
        match self.expected.first() {
            Some(one) if self.expected.iter().all(is_foreign) => Unacceptable::WrongTrustDomain {
                got: got.trust_domain,
                expected: one.trust_domain.clone(),
            },
            _ => Unacceptable::WrongIdentity {
                got,
                expected: Arc::clone(&self.expected),
            },
        }
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier")
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
        .map_err(unknown)?;
        let identities = identities_of(end_entity)?;
        if identities
            .iter()
            .any(|identity| self.expected.contains(identity))
        {
            return Ok(ServerCertVerified::assertion());
        }
        let got = identities
            .into_iter()
            .next()
            .ok_or(Unacceptable::NoSpiffeId)?;
        Err(self.somebody_else(got).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
