//! Asks the agent about a pod: one HTTP/1.1 request over its unix socket, without a runtime.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::add_event::AddEvent;

/// How long the agent may take: longer than it waits for ztunnel itself.
const PATIENCE: Duration = Duration::from_secs(12);

/// More than any answer of the agent has.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Why the agent has not said yes.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It does not run, or not yet.
    #[error("cannot reach the agent at {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    /// It went away, or was silent for too long.
    #[error("no answer from the agent")]
    Talk(#[source] io::Error),
    /// It does not speak HTTP.
    #[error("the agent's answer is not HTTP")]
    NotHttp,
    /// It said no.
    #[error("the agent answered {status}: {words}")]
    Refused { status: u16, words: String },
}

/// Asks the agent at `socket` about a pod; returns when it says yes. `path` says what is asked.
pub(super) fn agent(socket: &Path, path: &str, event: &AddEvent) -> Result<(), Error> {
    let body = serde_json::to_string(event).map_err(|error| Error::Talk(error.into()))?;
    let answer = exchange(socket, path, &body)?;
    let (status, words) = read(&answer).ok_or(Error::NotHttp)?;
    if status == 200 {
        Ok(())
    } else {
        Err(Error::Refused { status, words })
    }
}

fn exchange(socket: &Path, path: &str, body: &str) -> Result<Vec<u8>, Error> {
    let mut stream = UnixStream::connect(socket).map_err(|source| Error::Connect {
        path: socket.to_owned(),
        source,
    })?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(Error::Talk)?;
    stream
        .set_write_timeout(Some(PATIENCE))
        .map_err(Error::Talk)?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(Error::Talk)?;
    stream.write_all(body.as_bytes()).map_err(Error::Talk)?;
    let mut answer = Vec::new();
    stream
        .take(LONGEST_ANSWER)
        .read_to_end(&mut answer)
        .map_err(Error::Talk)?;
    Ok(answer)
}

/// Status and body. The connection is closed after the answer, so the body is the rest.
fn read(answer: &[u8]) -> Option<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, body.trim().to_owned()))
}
