//! A request is read, perhaps refused on purpose, and answered.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::mischief::Refuse;
use super::stream::Watch;
use super::write::{Asked, write};
use super::{World, discovery, list, path, review};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refused {
    code: u16,
    reason: &'static str,
    message: String,
    retry_after: u64,
}

impl Refused {
    pub(super) fn status(code: u16, reason: &'static str, message: &str) -> Refused {
        Refused {
            code,
            reason,
            message: message.to_owned(),
            retry_after: 0,
        }
    }

    /// The answer to paths that are not served: plain words, no `Status`.
    pub(super) fn unserved() -> Refused {
        Refused::status(404, "", "404 page not found\n")
    }

    pub(super) fn absent(resource: &str, name: &str) -> Refused {
        Refused::status(404, "NotFound", &format!("{resource} \"{name}\" not found"))
    }

    pub(super) fn body(&self) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code})
    }

    fn on_purpose(refuse: &Refuse) -> Refused {
        Refused {
            retry_after: refuse.retry_after,
            ..Refused::status(refuse.code, refuse.reason, "refused on purpose")
        }
    }
}

pub(super) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<World>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, world) = (tls.clone(), world.clone());
        task::spawn("API server connection", async move {
            match tls {
                None => connection(stream, world).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, world).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, world: Arc<World>) {
    let service = service_fn(move |request| {
        let world = world.clone();
        async move { Ok::<_, Infallible>(respond(request, &world).await) }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = serving.await;
}

async fn respond(request: Request<Incoming>, world: &Arc<World>) -> Response<Body> {
    match answer(request, world).await {
        Ok(response) => response,
        Err(refused) => {
            let (text, media) = match refused.reason {
                "" => (refused.message.clone(), "text/plain"),
                _ => (refused.body().to_string(), "application/json"),
            };
            let mut builder = Response::builder()
                .status(refused.code)
                .header(CONTENT_TYPE, media);
            if refused.retry_after > 0 {
                builder = builder.header(RETRY_AFTER, refused.retry_after);
            }
            builder.body(whole(text)).unwrap_or_default()
        }
    }
}

fn whole(text: String) -> Body {
    let body = Full::new(Bytes::from(text));
    body.map_err(|never| match never {}).boxed_unsync()
}

fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

async fn answer(request: Request<Incoming>, world: &Arc<World>) -> Result<Response<Body>, Refused> {
    let (head, body) = request.into_parts();
    let (method, at) = (head.method.as_str(), head.uri.path());
    let refuse = world.mischief().ask(method, &head.uri.to_string());
    if let Some(refuse) = refuse {
        return Err(Refused::on_purpose(&refuse));
    }
    if method == "GET"
        && let Some(found) = discovery::answer(at, &world.store())
    {
        return Ok(json_response(StatusCode::OK, &found));
    }
    let target = path::target(at).ok_or_else(Refused::unserved)?;
    let query = path::query(head.uri.query().unwrap_or_default());
    let text = |name| {
        let found = head.headers.get(name).and_then(|it| it.to_str().ok());
        found.unwrap_or_default()
    };
    if method == "GET" {
        return read(world, target, &query, text(ACCEPT)).await;
    }
    let asked = Asked {
        method,
        target: &target,
        query: &query,
        media_type: text(CONTENT_TYPE),
        body: parse(body).await?,
    };
    if target.resource == "tokenreviews.authentication.k8s.io" {
        let review = review::answer(asked.body, &world.tokens());
        return Ok(json_response(StatusCode::CREATED, &review));
    }
    let (object, is_new) = world.change(|store| write(store, asked))?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok(json_response(status, &object))
}

async fn parse(body: Incoming) -> Result<Value, Refused> {
    let bytes = body.collect().await.map(|it| it.to_bytes());
    let bytes = bytes.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Refused::status(400, "BadRequest", &error.to_string()))
}

async fn read(
    world: &Arc<World>,
    target: path::Target,
    query: &BTreeMap<String, String>,
    accept: &str,
) -> Result<Response<Body>, Refused> {
    let facts = {
        let store = world.store();
        store.resource(&target.resource, &target.version).cloned()
    };
    let facts = facts.ok_or_else(Refused::unserved)?;
    let metadata_only = accept.contains("as=PartialObjectMetadata");
    if let Some(name) = &target.name {
        let name = (target.namespace.clone().unwrap_or_default(), name.clone());
        let found = world.store().get(&target.resource, &name);
        let found = found.ok_or_else(|| Refused::absent(&target.resource, &name.1))?;
        return Ok(json_response(StatusCode::OK, &found));
    }
    if query
        .get("watch")
        .is_some_and(|it| it == "1" || it == "true")
    {
        let (out, frames) = mpsc::channel(16);
        let watch = Watch::new(world, facts, target, query, metadata_only, out)?;
        task::spawn("API server watch", watch.run());
        let mut response = json_response(StatusCode::OK, &Value::Null);
        *response.body_mut() = StreamBody::new(ReceiverStream::new(frames)).boxed_unsync();
        return Ok(response);
    }
    let slow = world.mischief().slow_lists;
    tokio::time::sleep(slow).await;
    let page = list::page(&world.store(), &facts, &target, query, metadata_only)?;
    Ok(json_response(StatusCode::OK, &page))
}
