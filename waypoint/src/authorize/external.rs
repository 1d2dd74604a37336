//! Asks an external authorization server, over gRPC or HTTP. Source: docs/compat.md#request-authorization.
//!
//! How the server is reached is the caller's business: [`Transport`].

mod grpc;
mod http;
mod additions;
mod names;
mod body;

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use ::bytes::Bytes;
use ::http::{Response, StatusCode, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use mesh::authz::Denial;
use mesh::identity::Identity;
use mesh::model::provider::{AuthorizerProtocol, ExternalAuthorizer, ProviderAddress};

use super::refusal::Said;
use crate::asked::Asked;

pub use additions::Additions;
pub use body::{Part, TooLong, part};

/// Longest body of an answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Something wrong below HTTP.
pub type Cause = Box<dyn StdError + Send + Sync>;
/// Body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, Cause>;

/// A way to a server beside the data path.
pub trait Transport {
    /// Sends a request over HTTP/2 or HTTP/1.1, as its version says, and gives the answer's head and body.
    fn send(
        &self,
        server: &ProviderAddress,
        request: ::http::Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Cause>>;
}

/// Whom to ask, and on whose behalf.
#[derive(Clone, Debug)]
pub struct Whom<'a> {
    /// The server.
    pub authorizer: &'a ExternalAuthorizer,
    /// The policy's rule that wants it asked.
    pub by: Box<Denial>,
}

/// What the server is told beside the request's head.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Identity of the caller.
    pub source_identity: Option<&'a Identity>,
    /// Address of the caller.
    pub source: SocketAddr,
    /// Address of the service.
    pub destination: SocketAddr,
    /// When the request came.
    pub time: SystemTime,
    /// Length of the whole body, where the request says it.
    pub length: Option<u64>,
    /// The part of the body that is sent along.
    pub body: Option<Part>,
}

/// The answer.
#[derive(Debug)]
pub enum Decision {
    /// Go on, with these changes.
    Admitted(Additions),
    /// The client is to hear this.
    Refused(Said),
}

/// A server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It took longer than the provider's `timeout`.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It could not be reached.
    #[error("it cannot be reached")]
    Transport(#[source] Cause),
    /// Its answer broke off or is longer than 1 MiB.
    #[error("its answer breaks off or is longer than 1 MiB")]
    Body(#[source] Cause),
    /// It answered with a status that is no decision.
    #[error("it answered with {0}")]
    Status(StatusCode),
    /// The gRPC call failed.
    #[error("the call failed with gRPC status {0}")]
    Grpc(String),
    /// Its answer is not a message of the protocol.
    #[error("its answer cannot be read")]
    Message(#[source] Cause),
    /// The question cannot be written.
    #[error("the question cannot be written")]
    Question(#[source] ::http::Error),
    /// It is asked over HTTP, and what it would be asked about is no request.
    #[error("it is asked over HTTP, which has no words for opaque bytes")]
    NoRequest,
}

impl Error {
    /// Whether another try could succeed.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Self::NoRequest)
    }
}

/// Asks within the provider's time.
pub(super) async fn ask<T: Transport>(
    authorizer: &ExternalAuthorizer,
    request: Request<'_>,
    asked: &Asked,
    transport: &T,
) -> Result<Decision, Error> {
    let exchange = async {
        match &authorizer.protocol {
            AuthorizerProtocol::Grpc => {
                let bytes = authorizer.body.is_some_and(|it| it.pack_as_bytes);
                let question = grpc::question(request, asked, bytes)?;
                let answer = send(transport, &authorizer.server, question).await?;
                grpc::decision(answer)
            }
            AuthorizerProtocol::Http { path_prefix, .. } => {
                let question = http::question(&authorizer.protocol, path_prefix, request, asked)?;
                let answer = send(transport, &authorizer.server, question).await?;
                http::decision(&authorizer.protocol, answer)
            }
        }
    };
    let late = |_| Error::Late(authorizer.timeout);
    tokio::time::timeout(authorizer.timeout, exchange)
        .await
        .map_err(late)?
}

/// Asks about a connection of opaque bytes, within the provider's time.
pub(super) async fn ask_of_connection<T: Transport>(
    authorizer: &ExternalAuthorizer,
    request: Request<'_>,
    transport: &T,
) -> Result<Decision, Error> {
    if authorizer.protocol != AuthorizerProtocol::Grpc {
        return Err(Error::NoRequest);
    }
    let exchange = async {
        let question = grpc::question_of_connection(&request)?;
        let answer = send(transport, &authorizer.server, question).await?;
        grpc::decision(answer)
    };
    let late = |_| Error::Late(authorizer.timeout);
    tokio::time::timeout(authorizer.timeout, exchange)
        .await
        .map_err(late)?
}

/// An answer that was read to its end.
struct Answer {
    head: ::http::response::Parts,
    body: Bytes,
    trailers: ::http::HeaderMap,
}

/// What the body of an answer over gRPC decides; for tests.
///
/// # Errors
/// [`Error`] when it is no such answer.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn decision_of(body: Bytes) -> Result<Decision, Error> {
    let (head, ()) = ::http::Response::new(()).into_parts();
    let trailers = ::http::HeaderMap::from_iter([(
        ::http::HeaderName::from_static("grpc-status"),
        ::http::HeaderValue::from_static("0"),
    )]);
    grpc::decision(Answer {
        head,
        body,
        trailers,
    })
}

async fn send<T: Transport>(
    transport: &T,
    server: &ProviderAddress,
    question: ::http::Request<Full<Bytes>>,
) -> Result<Answer, Error> {
    let answer = transport
        .send(server, question)
        .await
        .map_err(Error::Transport)?;
    let (head, body) = answer.into_parts();
    let collected = Limited::new(body, ANSWER_LIMIT)
        .collect()
        .await
        .map_err(Error::Body)?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Ok(Answer {
        head,
        body: collected.to_bytes(),
        trailers,
    })
}

/// Path and query, as they stand in a request.
fn target(asked: &Asked) -> String {
    match &asked.query {
        None => asked.path.clone(),
        Some(query) => format!("{}?{query}", asked.path),
    }
}

/// How the public contract writes a version.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
