//! Who is calling: bearer tokens of service accounts, checked against the issuer's keys.
//!
//! The xDS server and the certificate service ask the same [`Authenticator`]. With the directory
//! source it is [`JwksAuthenticator`], with an API server [`review::ReviewAuthenticator`].

pub mod review;
mod keys;
pub(crate) mod token;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::SystemTime;

use mesh::identity::TrustDomain;
use tokio::sync::watch;

use super::Caller;
use keys::KeyFile;

/// What an authenticator is busy with; a boxed future so that the trait can be an object.
pub type Authenticating<'a> = Pin<Box<dyn Future<Output = Result<Caller, AuthError>> + Send + 'a>>;

/// Turns a bearer token into the caller it proves.
pub trait Authenticator: Send + Sync {
    /// Checks `bearer`, the token without the word `Bearer`.
    fn authenticate<'a>(&'a self, bearer: &'a str) -> Authenticating<'a>;
}

/// Why a token proves nobody. For the log; callers hear only that they are not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The call carried no bearer token.
    #[error("no bearer token")]
    Missing,
    /// Longer than any token of a service account.
    #[error("token of {length} bytes, at most {limit} are read")]
    TooLong {
        /// What came.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Not a signed token, or claims of another shape.
    #[error("not a readable token")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Signed with an algorithm that is not accepted.
    #[error("signed with {algorithm}, only ES256 is accepted")]
    Algorithm {
        /// What the header says.
        algorithm: String,
    },
    /// No key of the issuer has the token's key id.
    #[error("no key of the issuer has the id {id:?}")]
    UnknownKey {
        /// The token's key id; empty when it has none.
        id: String,
    },
    /// The signature is wrong.
    #[error("signature is wrong")]
    Signature(#[source] jsonwebtoken::errors::Error),
    /// Past its expiry.
    #[error("expired {seconds} s ago")]
    Expired {
        /// How long ago.
        seconds: u64,
    },
    /// Not valid yet.
    #[error("valid only in {seconds} s")]
    NotYetValid {
        /// How long until it is.
        seconds: u64,
    },
    /// Issued by somebody else.
    #[error("issuer is {found:?}, expected {expected:?}")]
    Issuer {
        /// The token's issuer.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// Meant for another service.
    #[error("audience is {found:?}, expected one of {expected:?}")]
    Audience {
        /// The token's audiences.
        found: Vec<String>,
        /// The configured ones.
        expected: Vec<String>,
    },
    /// A claim is missing or disagrees with another.
    #[error("claim {claim} is missing or disagrees with the subject")]
    Claim {
        /// Which one.
        claim: &'static str,
    },
    /// Not three parts as of a signed token.
    #[error("not a signed token")]
    Shape,
    /// The API server says that the token proves nobody.
    #[error("the API server does not accept it: {why}")]
    Refused {
        /// In its words.
        why: String,
    },
    /// The API server does not answer the question.
    #[error("the API server reviews no token")]
    Review(#[source] objects::api::Refusal),
    /// The issuer's keys cannot be read.
    #[error("cannot read the issuer's keys from {}", path.display())]
    Keys {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeysError,
    },
}

/// Why a key file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// It is not a JSON key set.
    #[error("not a JSON key set")]
    Parse(#[source] serde_json::Error),
    /// It holds no P-256 signing key.
    #[error("holds no usable P-256 key")]
    Empty,
}

impl AuthError {
    /// One word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::TooLong { .. } | Self::Malformed(_) | Self::Shape => "malformed",
            Self::Algorithm { .. } => "algorithm",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Signature(_) => "signature",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Issuer { .. } => "issuer",
            Self::Audience { .. } => "audience",
            Self::Claim { .. } => "claim",
            Self::Refused { .. } => "refused",
            Self::Review(_) => "review",
            Self::Keys { .. } => "keys",
        }
    }
}

/// What a token must say beside being signed.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `iss`.
    pub issuer: String,
    /// At least one of these must be in `aud`.
    pub audiences: Vec<String>,
}

/// Checks tokens against a key set in a file, which is read again whenever it changes.
#[derive(Debug)]
pub struct JwksAuthenticator {
    keys: KeyFile,
    expected: Expected,
    trust_domain: watch::Receiver<TrustDomain>,
}

impl JwksAuthenticator {
    /// Tokens signed by a key of `path`; callers are placed in the trust domain of the moment.
    ///
    /// The file need not exist yet: until it does, every token is refused with the reason.
    pub fn new(
        path: &Path,
        expected: Expected,
        trust_domain: watch::Receiver<TrustDomain>,
    ) -> Self {
        Self {
            keys: KeyFile::new(path),
            expected,
            trust_domain,
        }
    }

    /// Checks `bearer` as of `now`.
    ///
    /// # Errors
    /// Says precisely why the token proves nobody.
    pub fn check(&self, bearer: &str, now: SystemTime) -> Result<Caller, AuthError> {
        let id = token::key_id(bearer)?;
        let key = self.keys.find(&id)?;
        let trust_domain = self.trust_domain.borrow().clone();
        token::check(bearer, &key, &self.expected, trust_domain, now)
    }
}

impl Authenticator for JwksAuthenticator {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> Authenticating<'a> {
        let result = self.check(bearer, SystemTime::now());
        Box::pin(std::future::ready(result))
    }
}
