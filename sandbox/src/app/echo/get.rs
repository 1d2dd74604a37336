//! The client: asks a URL some times, a new connection each, and prints every answer.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest that one request may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why an answer is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{url} is no http URL with a host")]
    Url { url: String },
    #[error("cannot connect to {authority}")]
    Connect {
        authority: String,
        source: io::Error,
    },
    #[error("{authority} gave no answer within {PATIENCE:?}")]
    Slow { authority: String },
    #[error("the request failed")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be built")]
    Request(#[from] hyper::http::Error),
    #[error("the answer has status {status}")]
    Status { status: StatusCode },
    #[error("the script cannot be read")]
    Script {
        #[source]
        source: serde_json::Error,
    },
    #[error("cannot print the answer")]
    Print(#[source] io::Error),
}

/// Prints `count` answers of `url`; stops at the first that is missing or no success.
pub(super) async fn get(url: &str, count: u32) -> Result<(), Error> {
    let (uri, authority, address) = target(url)?;
    let slow = || Error::Slow {
        authority: authority.clone(),
    };
    for _ in 0..count {
        let body = timeout(PATIENCE, once(&uri, &authority, &address))
            .await
            .map_err(|_| slow())??;
        io::stdout()
            .write_all(&body)
            .and_then(|()| io::stdout().flush())
            .map_err(Error::Print)?;
    }
    Ok(())
}

/// A URL, its authority, and the address to connect to.
pub(super) fn target(url: &str) -> Result<(Uri, String, String), Error> {
    let bad = || Error::Url {
        url: url.to_owned(),
    };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority().cloned()) else {
        return Err(bad());
    };
    let address = match uri.port() {
        Some(_) => authority.to_string(),
        None => format!("{authority}:80"),
    };
    Ok((uri, authority.to_string(), address))
}

async fn once(uri: &Uri, authority: &str, address: &str) -> Result<Bytes, Error> {
    let failed = |source| Error::Connect {
        authority: authority.to_owned(),
        source,
    };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    task::spawn_local("http client", async move { drop(connection.await) });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        Ok(body)
    } else {
        Err(Error::Status { status })
    }
}
