//! Who is at the other end, read from its certificate.

use std::time::{Duration, SystemTime};

use rustls::CommonState;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Error;
use crate::identity::Identity;

/// The other end of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it proved to be.
    pub identity: Identity,
    /// The key exchange both ends agreed on, for example `X25519MLKEM768`.
    pub group: &'static str,
    /// Serial number of its certificate, lower-case hex.
    pub serial: Box<str>,
    /// When its certificate ends.
    pub not_after: SystemTime,
}

impl Peer {
    pub(super) fn of(connection: &CommonState) -> Result<Self, Error> {
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or(Error::NoCertificate)?;
        let certificate = parse(leaf).ok_or(Error::BadCertificate(
            rustls::CertificateError::BadEncoding.into(),
        ))?;
        let identity = identities(&certificate).next().ok_or(Error::NoSpiffeId)?;
        let group = connection.negotiated_key_exchange_group();
        Ok(Self {
            identity,
            group: group
                .and_then(|group| group.name().as_str())
                .unwrap_or("unknown"),
            serial: serial(&certificate),
            not_after: time(certificate.validity().not_after.timestamp()),
        })
    }
}

/// The workload identity in a certificate: the first URI SAN that is one.
pub fn leaf_identity(der: &[u8]) -> Option<Identity> {
    identities(&parse(der)?).next()
}

pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der)
        .ok()
        .map(|(_, certificate)| certificate)
}

pub(super) fn identities<'a>(
    certificate: &'a X509Certificate<'_>,
) -> impl Iterator<Item = Identity> + 'a {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Identity::parse(uri).ok(),
        _ => None,
    })
}

pub(super) fn serial(certificate: &X509Certificate<'_>) -> Box<str> {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in certificate.raw_serial() {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

/// Seconds since 1970 as a time; what lies before counts as 1970.
pub(super) fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
