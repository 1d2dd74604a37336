//! The API server as something to call: one request, and an answer or a refusal that says what it means.
//!
//! Who and where it is, credentials that are read again and TLS are the library's; what is asked, and what an
//! answer means, is decided here. Nothing is retried here: whoever asks knows whether asking again makes sense.

mod lines;
pub mod refusal;
pub mod address;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use kube_client::client::{Body, ClientBuilder};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use serde_json::Value;

pub(crate) use lines::Lines;
pub use refusal::{Meaning, Refusal};

/// Longest answer taken, in bytes: a page of five hundred large objects is far below.
const MAX_ANSWER: usize = 256 << 20;
/// Longest wait for the whole answer to a call, and for the head of a stream.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server is, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As a pod of the cluster: its environment, its service account's token and the cluster's CA.
    InCluster,
    /// As a file of `kubectl` says, in its current context.
    Kubeconfig(PathBuf),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::InCluster => f.write_str("the cluster this program runs in"),
            Access::Kubeconfig(file) => write!(f, "the cluster of {}", file.display()),
        }
    }
}

/// Why there is nobody to call.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach {access}: {reason}")]
pub struct OpenError {
    /// Whom.
    pub access: Access,
    /// Why not.
    pub reason: String,
}

/// One API server. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// What the bytes of a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// An object to create or replace.
    Object,
    /// Fields to merge, RFC 7396.
    MergePatch,
    /// Fields that we own from now on: server-side apply.
    Apply,
}

impl Content {
    const fn media_type(self) -> &'static str {
        match self {
            Content::Object => "application/json",
            Content::MergePatch => "application/merge-patch+json",
            // Every JSON document is one of YAML.
            Content::Apply => "application/apply-patch+yaml",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is done.
    pub method: Method,
    /// Path and query, see [`address`].
    pub path: String,
    /// What is sent along.
    pub content: Option<(Content, Value)>,
    /// What is wanted back; plain JSON when it is empty.
    pub accept: &'static str,
}

impl Call {
    /// Reads what is at a path.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Call {
        Call {
            method: Method::GET,
            path: path.into(),
            content: None,
            accept: "",
        }
    }

    /// Sends something to a path.
    #[must_use]
    pub fn send(method: Method, path: impl Into<String>, content: Content, body: Value) -> Call {
        Call {
            method,
            path: path.into(),
            content: Some((content, body)),
            accept: "",
        }
    }
}

impl Api {
    /// Takes up the configuration; nothing is sent yet.
    ///
    /// # Errors
    /// When there is no usable configuration.
    pub async fn open(access: &Access) -> Result<Api, OpenError> {
        let failed = |error: &dyn std::error::Error| OpenError {
            access: access.clone(),
            reason: chain(error),
        };
        let mut config = match access {
            Access::InCluster => Config::incluster().map_err(|error| failed(&error))?,
            Access::Kubeconfig(file) => {
                let file = Kubeconfig::read_from(file).map_err(|error| failed(&error))?;
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(file, &options).await;
                config.map_err(|error| failed(&error))?
            }
        };
        config.connect_timeout = Some(CONNECT);
        config.default_retry = false;
        let client = ClientBuilder::try_from(config).map_err(|error| failed(&error))?;
        Ok(Api {
            client: client.build(),
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// Whatever is no answer of success, also none in [`PATIENCE`].
    pub async fn call(&self, call: Call) -> Result<Value, Refusal> {
        let path = call.path.clone();
        let answer = async {
            let response = self.begin(call).await?;
            let bytes = whole(&path, response.into_body()).await?;
            serde_json::from_slice(&bytes)
                .map_err(|error| Refusal::silent(&path, format!("the answer is not JSON: {error}")))
        };
        let in_time = tokio::time::timeout(PATIENCE, answer).await;
        in_time.unwrap_or_else(|_| Err(too_late(&path)))
    }

    /// Asks for a stream of JSON documents, one to a line.
    pub(crate) async fn stream(&self, call: Call) -> Result<Lines, Refusal> {
        let path = call.path.clone();
        let head = tokio::time::timeout(PATIENCE, self.begin(call)).await;
        let response = head.unwrap_or_else(|_| Err(too_late(&path)))?;
        Ok(Lines::new(path, response.into_body()))
    }

    async fn begin(&self, call: Call) -> Result<Response<Body>, Refusal> {
        let path = call.path.clone();
        let request = request(call)?;
        let sent = self.client.send(request).await;
        let response = sent.map_err(|error| Refusal::silent(&path, chain(&error)))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let wait = retry_after(&head.headers);
        let body = whole(&path, body).await.unwrap_or_default();
        Err(Refusal::read(&path, head.status.as_u16(), wait, &body))
    }
}

fn request(call: Call) -> Result<Request<Body>, Refusal> {
    let accept = match call.accept {
        "" => "application/json",
        other => other,
    };
    let mut builder = Request::builder()
        .method(call.method)
        .uri(&call.path)
        .header(header::ACCEPT, accept)
        .header(
            header::USER_AGENT,
            concat!("weft/", env!("CARGO_PKG_VERSION")),
        );
    let mut body = Body::empty();
    if let Some((content, value)) = call.content {
        builder = builder.header(header::CONTENT_TYPE, content.media_type());
        body = Body::from(value.to_string().into_bytes());
    }
    builder
        .body(body)
        .map_err(|error| Refusal::silent(&call.path, error.to_string()))
}

async fn whole(path: &str, body: Body) -> Result<Bytes, Refusal> {
    let collected = Limited::new(body, MAX_ANSWER).collect().await;
    let collected = collected.map_err(|error| Refusal::silent(path, chain(&*error)))?;
    Ok(collected.to_bytes())
}

fn too_late(path: &str) -> Refusal {
    Refusal::silent(path, format!("no answer in {} s", PATIENCE.as_secs()))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}
