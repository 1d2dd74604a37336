//! The client that goes on: the same request again and again over one connection, until it is told to stop or the
//! connection ends.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::get::{Error, PATIENCE, target};

/// Longest that it goes on, told or not.
const LONGEST: Duration = Duration::from_secs(60);
/// Pause between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(5);
/// What is printed when the first answer has come.
pub const ANSWERED: &str = "answered";

/// What came of it; printed as JSON at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// Whole answers.
    pub answers: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Answers that were another than the first.
    pub different: u64,
    /// Whether the connection ended before it was told to stop.
    pub was_cut: bool,
}

/// Asks `url` until standard input ends, or the connection.
pub(super) async fn repeat(url: &str) -> Result<(), Error> {
    let (uri, authority, address) = target(url)?;
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| Error::Connect {
            authority: authority.clone(),
            source,
        })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    task::spawn_local("http client", async move { drop(connection.await) });
    let mut told = std::pin::pin!(timeout(LONGEST, told_to_stop()));
    let mut seen = Repeated::default();
    let mut first = None;
    loop {
        let answer = tokio::select! {
            answer = timeout(PATIENCE, once(&mut sender, &uri, &authority)) => answer,
            _ = &mut told => break,
        };
        let Ok(Ok(body)) = answer else {
            seen.was_cut = true;
            break;
        };
        seen.answers += 1;
        seen.bytes += body.len() as u64;
        match &first {
            None => {
                say(ANSWERED)?;
                first = Some(body);
            }
            Some(first) => seen.different += u64::from(*first != body),
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = &mut told => break,
        }
    }
    say(&serde_json::to_string(&seen).map_err(|error| Error::Print(error.into()))?)
}

async fn once(
    sender: &mut SendRequest<Empty<Bytes>>,
    uri: &Uri,
    authority: &str,
) -> Result<Bytes, Error> {
    sender.ready().await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    match status.is_success() {
        true => Ok(body),
        false => Err(Error::Status { status }),
    }
}

/// Resolves when standard input ends. A thread waits for that, and ends with the program.
async fn told_to_stop() {
    let (told, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = told.send(());
    });
    let _ = ended.await;
}

fn say(line: &str) -> Result<(), Error> {
    let mut output = io::stdout();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .map_err(Error::Print)
}
