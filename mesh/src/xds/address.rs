//! Pure. Where the controller is and whom we believe: address and trust root, read from settings.
//!
//! Source: contract, docs/compat.md#xds-client.

use std::fmt;
use std::path::PathBuf;

use http::Uri;

/// `https://host:port` of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

/// Why a text is not an address of a controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL at all.
    #[error("address {text:?} is not https://host:port")]
    Shape {
        /// What was given.
        text: String,
    },
    /// Another scheme than https.
    #[error("address {text:?} has the scheme {scheme}, only https is spoken")]
    Scheme {
        /// What was given.
        text: String,
        /// Its scheme.
        scheme: String,
    },
}

impl Address {
    /// Reads `https://host:port`; without scheme https is meant, without port 15012.
    ///
    /// # Errors
    /// Names what was given and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let shape = || AddressError::Shape {
            text: text.to_owned(),
        };
        let full = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let uri: Uri = full.parse().map_err(|_| shape())?;
        let scheme = uri.scheme_str().unwrap_or_default();
        if scheme != "https" {
            let scheme = scheme.to_owned();
            return Err(AddressError::Scheme {
                text: text.to_owned(),
                scheme,
            });
        }
        let host = uri.host().unwrap_or_default();
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() || !matches!(uri.path(), "" | "/") {
            return Err(shape());
        }
        Ok(Self {
            host: host.into(),
            port: uri.port_u16().unwrap_or(15012),
        })
    }

    /// Host name or IP address, without brackets: what the server's certificate must name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "https://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "https://{}:{}", self.host, self.port)
        }
    }
}

/// Certificates that vouch for the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A file, read again for every connection.
    File(PathBuf),
    /// PEM text.
    Inline(Vec<u8>),
}

/// Why there are no certificates to believe.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// `SYSTEM` was given.
    #[error("trust root SYSTEM is not supported, name a file or give the PEM text")]
    System,
    /// The file cannot be read.
    #[error("cannot read the trust root {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("trust root {} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Root {
    /// Reads a setting: a path, or PEM text.
    ///
    /// # Errors
    /// [`RootError::System`]: Weft carries no roots of the operating system, and the controller's own
    /// authority is the only one that should vouch for it.
    pub fn parse(text: &str) -> Result<Self, RootError> {
        if text == "SYSTEM" {
            return Err(RootError::System);
        }
        if holds_certificate(text.as_bytes()) {
            return Ok(Self::Inline(text.as_bytes().to_vec()));
        }
        Ok(Self::File(text.into()))
    }
}

pub(super) fn holds_certificate(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(MARK.len()).any(|window| window == MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_with_and_without_scheme() {
        for (text, printed) in [
            (
                "https://istiod.istio-system.svc:15012",
                "https://istiod.istio-system.svc:15012",
            ),
            (
                "istiod.istio-system.svc:15012",
                "https://istiod.istio-system.svc:15012",
            ),
            ("https://localhost", "https://localhost:15012"),
            ("[::1]:7", "https://[::1]:7"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Address::parse("[::1]:7").unwrap().host(), "::1");
    }

    #[test]
    fn refuses_what_it_cannot_speak_to() {
        assert!(matches!(
            Address::parse("http://a:1"),
            Err(AddressError::Scheme { .. })
        ));
        for text in ["", "https://", "https://a:1/path", "a b"] {
            assert!(
                matches!(Address::parse(text), Err(AddressError::Shape { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn knows_a_file_from_a_text_and_refuses_the_roots_of_the_system() {
        let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        assert_eq!(
            Root::parse(pem).unwrap(),
            Root::Inline(pem.as_bytes().to_vec())
        );
        assert_eq!(
            Root::parse("/a/b.pem").unwrap(),
            Root::File("/a/b.pem".into())
        );
        assert!(matches!(Root::parse("SYSTEM"), Err(RootError::System)));
    }
}
