//! Fetches key sets and discovery documents over HTTP and HTTPS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, HOST, USER_AGENT};
use ::http::uri::{Authority, Scheme};
use ::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::key_set::KeySetError;

/// Longest answer that is read, in bytes.
const LENGTH_LIMIT: usize = 1024 * 1024;
/// Where issuers describe themselves.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A future that may run on any thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that gets a document.
pub trait Fetch: Send + Sync {
    /// The body of a 200 answer.
    fn get<'a>(&'a self, url: &'a str) -> Task<'a, Result<Bytes, Error>>;
}

/// Keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to fetch.
    #[error("no place to fetch from")]
    Nowhere,
    /// The address is not an absolute one of `http` or `https`.
    #[error("{0:?} is not an absolute http or https URL")]
    Url(String),
    /// No connection, or it was lost.
    #[error("{host} cannot be reached")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// HTTP went wrong.
    #[error("{host} does not answer in HTTP")]
    Http {
        /// Host and port.
        host: String,
        /// Why.
        source: hyper::Error,
    },
    /// Another answer than 200.
    #[error("{url} is answered with {status}")]
    Status {
        /// The whole address.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// A body that broke off or is longer than 1 MiB.
    #[error("the answer of {0} breaks off or is longer than 1 MiB")]
    Body(String),
    /// The discovery document names no keys.
    #[error("the discovery document at {0} has no jwks_uri")]
    Discovery(String),
    /// What was fetched holds no keys.
    #[error("what was fetched is no key set")]
    Keys(#[source] KeySetError),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

#[derive(Deserialize)]
struct Description {
    jwks_uri: String,
}

/// Where the keys of an issuer are, as it says itself.
pub(super) async fn discover(fetch: &dyn Fetch, issuer: &str) -> Result<String, Error> {
    let url = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
    let bytes = fetch.get(&url).await?;
    match serde_json::from_slice::<Description>(&bytes) {
        Ok(description) => Ok(description.jwks_uri),
        Err(_) => Err(Error::Discovery(url)),
    }
}

/// Asks servers outside of the mesh directly.
pub struct Direct {
    tls: Arc<ClientConfig>,
}

impl Direct {
    /// `tls` says whom to trust for HTTPS; see [`mesh::tls::foreign::https`].
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }

    async fn fetch(&self, url: &str) -> Result<Bytes, Error> {
        let bad = || Error::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        match uri.scheme() {
            Some(it) if *it == Scheme::HTTP => {
                let stream = connect(authority, 80).await?;
                exchange(stream, &uri, authority).await
            }
            Some(it) if *it == Scheme::HTTPS => {
                let stream = connect(authority, 443).await?;
                let failed = |source| Error::Connect {
                    host: authority.to_string(),
                    source,
                };
                let name = authority.host().trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(name).map_err(|_| bad())?;
                let tls = TlsConnector::from(Arc::clone(&self.tls));
                let stream = tls.connect(name, stream).await.map_err(failed)?;
                exchange(stream, &uri, authority).await
            }
            _ => Err(bad()),
        }
    }
}

impl Fetch for Direct {
    fn get<'a>(&'a self, url: &'a str) -> Task<'a, Result<Bytes, Error>> {
        Box::pin(self.fetch(url))
    }
}

async fn connect(authority: &Authority, port: u16) -> Result<TcpStream, Error> {
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(port);
    let failed = |source| Error::Connect {
        host: format!("{host}:{port}"),
        source,
    };
    TcpStream::connect((host, port)).await.map_err(failed)
}

async fn exchange<S>(stream: S, uri: &Uri, authority: &Authority) -> Result<Bytes, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |source| Error::Http {
        host: authority.to_string(),
        source,
    };
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    let driver = task::spawn("key fetch", connection);
    // However this ends, the connection ends with it.
    let _ending = AbortOnDrop(driver.abort_handle());
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "weft")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|_| Error::Url(uri.to_string()))?;
    let answer = sender.send_request(request).await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(Error::Status {
            url: uri.to_string(),
            status: answer.status(),
        });
    }
    let body = Limited::new(answer.into_body(), LENGTH_LIMIT)
        .collect()
        .await;
    Ok(body.map_err(|_| Error::Body(uri.to_string()))?.to_bytes())
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
