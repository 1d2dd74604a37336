//! SPIFFE identities of workloads and the trust domains they live in.

use std::fmt;
use std::sync::Arc;

/// A trust domain, e.g. `cluster.local`: the authority part of a SPIFFE id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The trust domain assumed when a record names none.
    pub const DEFAULT: &'static str = "cluster.local";

    /// Accepts lower-case letters, digits, dots, dashes and underscores (SPIFFE ID, section 2.1).
    ///
    /// # Errors
    /// [`ParseError::TrustDomain`] when it is empty, longer than 255 bytes or holds another character.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
            return Err(ParseError::TrustDomain);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a workload is: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
///
/// Source: docs/compat.md#spiffe-identity. The grammar is exact: five path segments, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// Trust domain that vouches for it.
    pub trust_domain: TrustDomain,
    /// Namespace of the service account.
    pub namespace: Arc<str>,
    /// Service account name.
    pub service_account: Arc<str>,
}

/// Why a text is not an identity of this mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The scheme is not `spiffe://`.
    #[error("identity does not start with spiffe://")]
    Scheme,
    /// The trust domain is empty, too long or holds a character outside the SPIFFE alphabet.
    #[error("trust domain is empty, too long or holds a forbidden character")]
    TrustDomain,
    /// The path is not `/ns/<namespace>/sa/<service account>`.
    #[error("identity path is not /ns/<namespace>/sa/<service account>")]
    Path,
}

impl Identity {
    /// The identity of `service_account` in `namespace`.
    pub fn new(
        trust_domain: TrustDomain,
        namespace: impl Into<Arc<str>>,
        service_account: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            trust_domain,
            namespace: namespace.into(),
            service_account: service_account.into(),
        }
    }

    /// Reads a SPIFFE id of exactly the mesh's shape.
    ///
    /// # Errors
    /// Says which part is wrong; never panics, whatever the input.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let rest = text.strip_prefix("spiffe://").ok_or(ParseError::Scheme)?;
        let (trust_domain, path) = rest.split_once('/').ok_or(ParseError::Path)?;
        let trust_domain = TrustDomain::parse(trust_domain)?;
        let mut parts = path.split('/');
        match (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) {
            (Some("ns"), Some(namespace), Some("sa"), Some(account), None)
                if is_segment(namespace) && is_segment(account) =>
            {
                Ok(Self::new(trust_domain, namespace, account))
            }
            _ => Err(ParseError::Path),
        }
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && text != "."
        && text != ".."
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spiffe://{}/ns/{}/sa/{}",
            self.trust_domain, self.namespace, self.service_account
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        let text = "spiffe://cluster.local/ns/default/sa/web";
        let identity = Identity::parse(text).unwrap();
        assert_eq!(identity.to_string(), text);
        assert_eq!(&*identity.namespace, "default");
    }

    #[test]
    fn refuses_everything_but_the_exact_shape() {
        for (text, error) in [
            ("https://cluster.local/ns/a/sa/b", ParseError::Scheme),
            ("spiffe://", ParseError::Path),
            ("spiffe:///ns/a/sa/b", ParseError::TrustDomain),
            ("spiffe://Cluster.Local/ns/a/sa/b", ParseError::TrustDomain),
            ("spiffe://td/ns/a/sa/b/", ParseError::Path),
            ("spiffe://td/ns/a/sa/b/c", ParseError::Path),
            ("spiffe://td/ns//sa/b", ParseError::Path),
            ("spiffe://td/ns/../sa/b", ParseError::Path),
            ("spiffe://td/namespace/a/sa/b", ParseError::Path),
            ("spiffe://td/ns/a b/sa/b", ParseError::Path),
        ] {
            assert_eq!(Identity::parse(text), Err(error), "{text}");
        }
    }
}
