//! Asks the agent about a pod: one HTTP/1.1 request over its unix socket, without a runtime.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::add_event::{AddEvent, PATIENCE};

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
    let answer = exchange(socket, path, &body, PATIENCE)?;
    let (status, words) = read(&answer).ok_or(Error::NotHttp)?;
    if status == 200 {
        Ok(())
    } else {
        Err(Error::Refused { status, words })
    }
}

/// Everything from the call to the end of the answer, within `patience`.
fn exchange(socket: &Path, path: &str, body: &str, patience: Duration) -> Result<Vec<u8>, Error> {
    let until = Instant::now() + patience;
    let stream = connect(socket, patience).map_err(|source| Error::Connect {
        path: socket.to_owned(),
        source,
    })?;
    let mut call = Call { stream, until };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    call.write_all(head.as_bytes()).map_err(Error::Talk)?;
    call.write_all(body.as_bytes()).map_err(Error::Talk)?;
    let mut answer = Vec::new();
    call.take(LONGEST_ANSWER)
        .read_to_end(&mut answer)
        .map_err(Error::Talk)?;
    Ok(answer)
}

/// Connects; where others queue, it waits no longer than `patience`, which the kernel takes from the limit for sending.
fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(patience))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

/// A connection of which every step ends at one point in time, however often the other side says a little.
struct Call {
    stream: UnixStream,
    until: Instant,
}

impl Call {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }
}

impl Read for Call {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Call {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Status and body. The connection is closed after the answer, so the body is the rest.
fn read(answer: &[u8]) -> Option<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Far more than the plugin's patience in these tests, and far less than what a test would take without it.
    const SOON: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(200);

    /// Listens with room for one caller who is not accepted yet.
    fn listen(path: &Path) -> Socket {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        socket
    }

    fn is_over(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
        )
    }

    #[test]
    fn an_agent_that_says_a_byte_now_and_then_is_not_waited_for_longer_than_a_silent_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let listener = listen(&path);
        let (done, stop) = mpsc::channel::<()>();
        let agent = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let pause = Duration::from_millis(20);
            while stop.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout)
                && stream.write_all(b"H").is_ok()
            {}
        });
        let begun = Instant::now();
        let outcome = exchange(&path, "/cmdadd", "{}", SHORT);
        assert!(begun.elapsed() < SOON);
        drop(done);
        agent.join().unwrap();
        match outcome {
            Err(Error::Talk(error)) => assert!(is_over(&error), "{error:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_agent_that_accepts_nobody_is_not_waited_for_any_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let _listener = listen(&path);
        let _queued = UnixStream::connect(&path).unwrap();
        let begun = Instant::now();
        let outcome = exchange(&path, "/cmdadd", "{}", SHORT);
        assert!(begun.elapsed() < SOON);
        match outcome {
            Err(Error::Connect { source, .. }) => assert!(is_over(&source), "{source:?}"),
            other => panic!("{other:?}"),
        }
    }
}
