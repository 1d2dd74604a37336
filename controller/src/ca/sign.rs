//! Pure. Makes certificates, given a root, the time and a serial number.
//!
//! Of a signing request only the public key is taken, and only after its own signature proved that
//! the sender holds the private key. Names come from the identity that `allow` granted.

use mesh::identity::Identity;
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    SanType, SerialNumber, SubjectPublicKeyInfo, string::Ia5String,
};
use time::{Duration, OffsetDateTime};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::root::{BACKDATE, SigningRoot};

/// Longest signing request that is read, in bytes of PEM.
const REQUEST_LIMIT: usize = 16 * 1024;

/// How long certificates may live.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// When the caller does not say.
    pub default: Duration,
    /// A longer wish is refused.
    pub max: Duration,
}

/// When and under which serial number something is signed.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: OffsetDateTime,
    /// Random bytes for the serial number.
    pub serial: [u8; 16],
}

/// A signed certificate and its chain.
#[derive(Clone, Debug)]
pub struct Signed {
    /// PEM: leaf, intermediates one by one, all roots in the last element.
    pub chain: Vec<String>,
    /// When the leaf stops being valid.
    pub not_after: OffsetDateTime,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The request is longer than any real one.
    #[error("signing request of {length} bytes, at most {REQUEST_LIMIT} are read")]
    TooLong {
        /// What came.
        length: usize,
    },
    /// The request is not PEM of a certificate signing request.
    #[error("not a readable signing request")]
    Unreadable,
    /// The request is not signed by the key it contains.
    #[error("signing request is not signed by its own key")]
    Signature,
    /// The key is of a kind that is not signed.
    #[error("key of the signing request is of an unsuitable kind")]
    Key(#[source] rcgen::Error),
    /// A longer life is asked for than is allowed.
    #[error("life of {asked} s asked for, at most {max} s are allowed")]
    TooLongLived {
        /// Seconds asked for.
        asked: i64,
        /// Seconds allowed.
        max: i64,
    },
    /// The root's own certificate is no longer valid.
    #[error("signing certificate expired at {not_after}")]
    RootExpired {
        /// When it expired.
        not_after: OffsetDateTime,
    },
    /// The certificate could not be made.
    #[error("cannot make the certificate")]
    Make(#[source] rcgen::Error),
}

impl SignError {
    /// One word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::Unreadable => "csr_unreadable",
            Self::Signature => "csr_signature",
            Self::Key(_) => "csr_key",
            Self::TooLongLived { .. } => "ttl",
            Self::RootExpired { .. } => "root_expired",
            Self::Make(_) => "internal",
        }
    }

    /// Whether the request was at fault, not the authority.
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::RootExpired { .. } | Self::Make(_))
    }
}

/// Signs the key of `request` (PEM) for `identity`.
///
/// `life` in seconds is what the caller asked for; zero or less means the default.
///
/// # Errors
/// Says what is wrong with the request, or that the root can no longer sign.
pub fn sign(
    root: &SigningRoot,
    lives: Lives,
    moment: Moment,
    request: &str,
    identity: &Identity,
    life: i64,
) -> Result<Signed, SignError> {
    let key = key_of(request)?;
    let life = match life {
        i64::MIN..=0 => lives.default,
        seconds => Duration::seconds(seconds),
    };
    if life > lives.max {
        let (asked, max) = (life.whole_seconds(), lives.max.whole_seconds());
        return Err(SignError::TooLongLived { asked, max });
    }
    let uri = Ia5String::try_from(identity.to_string()).map_err(SignError::Make)?;
    let purposes = [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let params = leaf(root, moment, life, vec![SanType::URI(uri)], &purposes)?;
    let certificate = params
        .signed_by(&key, &root.issuer)
        .map_err(SignError::Make)?;
    Ok(chain(root, certificate.pem(), params.not_after))
}

/// Signs `key` for a server that answers to `names` (DNS), as the controller itself does.
///
/// # Errors
/// When a name is no DNS name, or the root can no longer sign.
pub fn sign_server(
    root: &SigningRoot,
    moment: Moment,
    life: Duration,
    key: &KeyPair,
    names: &[String],
) -> Result<Signed, SignError> {
    let names = names
        .iter()
        .map(|name| Ia5String::try_from(name.as_str()).map(SanType::DnsName))
        .collect::<Result<Vec<_>, _>>()
        .map_err(SignError::Make)?;
    let params = leaf(
        root,
        moment,
        life,
        names,
        &[ExtendedKeyUsagePurpose::ServerAuth],
    )?;
    let certificate = params
        .signed_by(key, &root.issuer)
        .map_err(SignError::Make)?;
    Ok(chain(root, certificate.pem(), params.not_after))
}

/// The public key of a signing request whose signature is right.
fn key_of(request: &str) -> Result<SubjectPublicKeyInfo, SignError> {
    if request.len() > REQUEST_LIMIT {
        return Err(SignError::TooLong {
            length: request.len(),
        });
    }
    let pem = Pem::iter_from_buffer(request.as_bytes())
        .next()
        .and_then(Result::ok)
        .filter(|pem| pem.label.ends_with("CERTIFICATE REQUEST"))
        .ok_or(SignError::Unreadable)?;
    let (rest, parsed) =
        X509CertificationRequest::from_der(&pem.contents).map_err(|_| SignError::Unreadable)?;
    if !rest.is_empty() {
        return Err(SignError::Unreadable);
    }
    parsed
        .verify_signature()
        .map_err(|_| SignError::Signature)?;
    SubjectPublicKeyInfo::from_der(parsed.certification_request_info.subject_pki.raw)
        .map_err(SignError::Key)
}

/// A leaf with an empty subject, so that its alternative name is critical (RFC 5280, 4.2.1.6).
fn leaf(
    root: &SigningRoot,
    moment: Moment,
    life: Duration,
    names: Vec<SanType>,
    purposes: &[ExtendedKeyUsagePurpose],
) -> Result<CertificateParams, SignError> {
    if moment.now >= root.not_after {
        return Err(SignError::RootExpired {
            not_after: root.not_after,
        });
    }
    let mut serial = moment.serial;
    // Positive and never shorter: the top bits are fixed.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names;
    params.not_before = moment.now - BACKDATE;
    // A life past the end of the calendar ends with the root, too.
    let end = moment.now.checked_add(life);
    params.not_after = end.map_or(root.not_after, |end| end.min(root.not_after));
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    // What RFC 8813 asks of EC keys; RSA keys have no further use in TLS 1.3 either.
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = purposes.to_vec();
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn chain(root: &SigningRoot, leaf: String, not_after: OffsetDateTime) -> Signed {
    let mut chain = Vec::with_capacity(root.intermediates.len() + 2);
    chain.push(leaf);
    chain.extend(root.intermediates.iter().cloned());
    chain.push(root.roots().to_owned());
    Signed { chain, not_after }
}

#[cfg(test)]
mod tests;
