//! Answers the plugin over HTTP on a unix socket: `POST /cmdadd` with a pod, 200 when it may start; `POST /cmdcheck`, 200
//! when it is as it should be (contract: CNI plugin and agent, docs/compat.md#cni-plugin).

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh::lifecycle::task;
use mesh::telemetry::report;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::add_event::{ADD_PATH, AddEvent, CHECK_PATH};

/// The longest request that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// So many pods may be on their way at once; more wait in the socket's backlog.
const AT_ONCE: usize = 64;

/// Plugins that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long a plugin may take for the head of its request, and again for the body.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the plugin wants to know of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// May it start?
    MayStart,
    /// Is it as it should be?
    IsWell,
}

/// A plugin that waits, and where the answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What it asks.
    pub question: Question,
    /// The pod.
    pub event: AddEvent,
    /// Takes the answer.
    pub answer: oneshot::Sender<Result<(), No>>,
}

/// The answer no, in words for the runtime's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// Not now; asking again may help.
    #[error("{0}")]
    NotNow(String),
    /// The pod is not as it should be.
    #[error("{0}")]
    Wrong(String),
}

/// Listens at `path`, replacing a socket file that an earlier agent left behind.
///
/// # Errors
/// When the path cannot be bound. Must be called inside a tokio runtime.
pub fn listen(path: &Path) -> io::Result<PluginSocket> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Whoever may write here may say which namespace is whose. Nobody can before we listen.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(PluginSocket {
        listener: UnixListener::from_std(socket.into())?,
        path: path.to_owned(),
    })
}

/// The listening socket; its file goes with it, so that plugins fail at once while no agent runs.
#[derive(Debug)]
pub struct PluginSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for PluginSocket {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the next agent replaces the file anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl PluginSocket {
    /// Serves plugins for ever; what they ask goes to `asked`.
    pub async fn serve(self, asked: mpsc::Sender<Asked>) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let asked = asked.clone();
                    task::spawn("plugin", async move {
                        let _place = place;
                        talk(stream, asked).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(error = report(&error), "cannot accept a plugin");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn talk(stream: UnixStream, asked: mpsc::Sender<Asked>) {
    let service = service_fn(|request| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(answer(request, asked).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(error = report(&error), "plugin connection ended early");
    }
}

async fn answer(request: Request<Incoming>, asked: mpsc::Sender<Asked>) -> Response<Full<Bytes>> {
    let question = match request.uri().path() {
        ADD_PATH => Question::MayStart,
        CHECK_PATH => Question::IsWell,
        _ => return say(StatusCode::NOT_FOUND, "no such page"),
    };
    if request.method() != Method::POST {
        return say(StatusCode::METHOD_NOT_ALLOWED, "only POST is understood");
    }
    let body = Limited::new(request.into_body(), LONGEST).collect();
    let Ok(Ok(body)) = timeout(PATIENCE, body).await else {
        return say(
            StatusCode::BAD_REQUEST,
            "the request is too long, too slow or was cut off",
        );
    };
    let event: AddEvent = match serde_json::from_slice(&body.to_bytes()) {
        Ok(event) => event,
        Err(error) => {
            return say(
                StatusCode::BAD_REQUEST,
                &format!("the request is not a pod: {error}"),
            );
        }
    };
    let (sender, receiver) = oneshot::channel();
    let is_sent = asked
        .send(Asked {
            question,
            event,
            answer: sender,
        })
        .await
        .is_ok();
    match receiver.await {
        Ok(Ok(())) => say(StatusCode::OK, ""),
        Ok(Err(No::NotNow(why))) => say(StatusCode::INTERNAL_SERVER_ERROR, &why),
        Ok(Err(No::Wrong(why))) => say(StatusCode::CONFLICT, &why),
        Err(_) if is_sent => say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the agent dropped the pod",
        ),
        Err(_) => say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the agent is shutting down",
        ),
    }
}

fn say(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(words.to_owned())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_its_owner_alone_and_its_file_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugin.sock");
        for _ in 0..2 {
            let socket = listen(&path).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let (connected, accepted) =
                tokio::join!(UnixStream::connect(&path), socket.listener.accept());
            assert!(connected.is_ok() && accepted.is_ok());
            drop(socket);
            assert!(!path.exists());
            // What an agent that was killed leaves behind.
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        }
    }
}
