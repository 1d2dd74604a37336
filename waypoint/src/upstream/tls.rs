//! TLS to an application, as a DestinationRule or BackendTLSPolicy asks for it. Source: docs/compat.md#tls-to-applications.
//!
//! What cannot be verified as it was asked for is refused, never made without TLS.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use mesh::model::destination::{TlsOrigination, TlsRoots};
use mesh::tls::HANDSHAKE_DEADLINE;
use mesh::tls::foreign::{self, Origination, RootsError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::dial::{ConnectError, Io};
use super::{Tls, Version};

/// Files are read again after this long.
const LIFE: Duration = Duration::from_secs(60);
/// Settings that are kept; with more, all are made anew.
const MOST: usize = 256;

/// Why TLS to an application cannot even begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The controller says that no authority could be read.
    #[error("TLS is asked for, and nobody is there to vouch for the server")]
    Missing,
    /// The machine has no roots.
    #[error("the roots of the system are asked for, and there are none")]
    NoSystemRoots,
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which one.
        path: Arc<str>,
        /// Why.
        source: io::Error,
    },
    /// What was read cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The server's name is none.
    #[error("{0} cannot be a server's name")]
    Name(Arc<str>),
    /// The server speaks another protocol inside than was agreed on.
    #[error("the server chose {0} inside of TLS")]
    Inside(String),
}

type Key = (Arc<Tls>, Option<Version>);

/// Settings of one worker's TLS to applications, made ready.
#[derive(Default)]
pub struct Configs(RefCell<HashMap<Key, (Arc<ClientConfig>, Instant), RandomState>>);

impl Configs {
    /// Puts TLS on a stream to `host`, which is whom the server must prove to be where nothing else is said. `inside` is
    /// what is spoken inside of it; `None` for opaque bytes.
    ///
    /// # Errors
    /// [`ConnectError::TlsSettings`] before anything is sent, [`ConnectError::Tls`] from the handshake.
    pub(super) async fn originate(
        &self,
        io: Box<dyn Io>,
        tls: &Arc<Tls>,
        host: Option<&Arc<str>>,
        inside: Option<Version>,
    ) -> Result<Box<dyn Io>, ConnectError> {
        let config = self.config(tls, inside).await?;
        let own = Some(&tls.0.sni).filter(|it| !it.is_empty());
        let name = own.or(host).unwrap_or(&tls.0.sni);
        let server = ServerName::try_from(name.to_string());
        let server = server.map_err(|_| Error::Name(Arc::clone(name)))?;
        let shaking = TlsConnector::from(config).connect(server, io);
        let shaken = tokio::time::timeout(HANDSHAKE_DEADLINE, shaking).await;
        let stream = shaken.map_err(|_| ConnectError::Deadline)?;
        let stream = stream.map_err(ConnectError::Tls)?;
        let chosen = stream.get_ref().1.alpn_protocol();
        let is_other = |chosen: &&[u8]| inside.is_some_and(|it| alpn(it).as_bytes() != *chosen);
        if let Some(chosen) = chosen.filter(is_other) {
            let chosen = String::from_utf8_lossy(chosen).into_owned();
            return Err(Error::Inside(chosen).into());
        }
        Ok(Box::new(stream))
    }

    async fn config(
        &self,
        tls: &Arc<Tls>,
        inside: Option<Version>,
    ) -> Result<Arc<ClientConfig>, Error> {
        let key = (Arc::clone(tls), inside);
        if let Some((config, since)) = self.0.borrow().get(&key)
            && since.elapsed() < LIFE
        {
            return Ok(Arc::clone(config));
        }
        let config = make(&tls.0, inside).await?;
        let mut kept = self.0.borrow_mut();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, (Arc::clone(&config), Instant::now()));
        Ok(config)
    }
}

async fn make(tls: &TlsOrigination, inside: Option<Version>) -> Result<Arc<ClientConfig>, Error> {
    let roots = match &tls.roots {
        TlsRoots::Missing => return Err(Error::Missing),
        _ if tls.insecure_skip_verify => None,
        TlsRoots::File(path) => Some(read(path).await?),
        TlsRoots::Pem(text) => Some(text.as_bytes().to_vec()),
        TlsRoots::System => {
            let roots = tokio::task::spawn_blocking(foreign::system_roots).await;
            let roots = roots.ok().filter(|it| !it.is_empty());
            Some(roots.ok_or(Error::NoSystemRoots)?)
        }
    };
    let client = match &tls.client {
        None => None,
        Some((chain, key)) => Some((read(chain).await?, read(key).await?)),
    };
    Ok(foreign::originate(Origination {
        roots: roots.as_deref(),
        names: &tls.subject_alt_names,
        client: client.as_ref().map(|(chain, key)| (&**chain, &**key)),
        inside: inside.map(alpn),
    })?)
}

async fn read(path: &Arc<str>) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File {
        path: Arc::clone(path),
        source,
    };
    tokio::fs::read(&**path).await.map_err(failed)
}

const fn alpn(version: Version) -> &'static str {
    match version {
        Version::Http1 => "http/1.1",
        Version::Http2 => "h2",
    }
}
