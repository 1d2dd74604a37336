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
const PATIENCE: Duration = Duration::from_secs(10);

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
    #[error("cannot print the answer")]
    Print(#[source] io::Error),
}

/// Prints `count` answers of `url`; stops at the first that is missing or no success.
pub(super) async fn get(url: &str, count: u32) -> Result<(), Error> {
    let uri: Uri = url.parse().map_err(|_| Error::Url {
        url: url.to_owned(),
    })?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority().cloned()) else {
        return Err(Error::Url {
            url: url.to_owned(),
        });
    };
    let slow = || Error::Slow {
        authority: authority.to_string(),
    };
    for _ in 0..count {
        let body = timeout(PATIENCE, once(&uri, authority.as_str()))
            .await
            .map_err(|_| slow())??;
        io::stdout()
            .write_all(&body)
            .and_then(|()| io::stdout().flush())
            .map_err(Error::Print)?;
    }
    Ok(())
}

async fn once(uri: &Uri, authority: &str) -> Result<Bytes, Error> {
    let failed = |source| Error::Connect {
        authority: authority.to_owned(),
        source,
    };
    let target = if uri.port().is_some() {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let stream = TcpStream::connect(target).await.map_err(failed)?;
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
