//! The caller's side: a tunnel to the waypoint as a node proxy would open it, and HTTP inside of it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use mesh::hbone::{Authority, ConnectHead, Dialed, OpenError, Pool, PoolKey};
use mesh::identity::Identity;
use mesh::lifecycle::task;
use mesh::testing::ca::{Ca, Leaf, identity};
use mesh::tls;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waypoint::bytes::Peeked;
use waypoint::upstream::Local;

/// Time that no step should need.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A calling workload.
pub(crate) struct Client {
    pool: Rc<Pool<tls::Error>>,
    who: Identity,
    door: SocketAddr,
    waypoint: Identity,
    credentials: std::sync::Arc<tls::Credentials>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// What the application said of the request.
    pub(crate) fn said(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    /// Which application answered.
    pub(crate) fn app(&self) -> &str {
        self.headers
            .get("x-app")
            .map_or("", |it| it.to_str().unwrap())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) fn new(
        ca: &Ca,
        door: SocketAddr,
        waypoint: Identity,
        namespace: &str,
        name: &str,
    ) -> Self {
        let who = identity(namespace, name);
        let credentials = ca.issue_as(&who, &Leaf::of(&who), &ca.root_pem());
        Self::known(who, credentials, door, waypoint)
    }

    /// One with credentials of its own.
    pub(crate) fn known(
        who: Identity,
        credentials: std::sync::Arc<tls::Credentials>,
        door: SocketAddr,
        waypoint: Identity,
    ) -> Self {
        Self {
            pool: Pool::new(mesh::hbone::Settings::default()),
            credentials,
            who,
            door,
            waypoint,
        }
    }

    /// A stream to `authority` through the waypoint, or its status.
    pub(crate) async fn stream(&self, authority: &str) -> Result<Peeked, StatusCode> {
        match self.opened(authority).await {
            Ok(stream) => Ok(stream),
            Err(OpenError::Refused(status)) => Err(status),
            Err(error) => panic!("{}", mesh::telemetry::report(&error)),
        }
    }

    /// A stream to `authority`, or what became of it.
    pub(crate) async fn opened(&self, authority: &str) -> Result<Peeked, OpenError<tls::Error>> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], self.door.port()));
        let key = PoolKey::new(
            self.who.clone(),
            vec![self.waypoint.clone()],
            loopback,
            loopback.ip(),
        );
        let dial = async || {
            let tcp = TcpStream::connect(loopback).await.unwrap();
            let local_address = tcp.local_addr().unwrap();
            let made = tls::client::connect(tcp, &self.credentials, key.peers(), PATIENCE);
            let (io, peer) = made.await?;
            Ok(Dialed {
                good_until: peer.not_after,
                io,
                peer,
                local_address,
                kept: Box::new(()),
            })
        };
        let head = ConnectHead::new(Authority::parse(authority).unwrap());
        let opened = self.pool.open(&key, dial, &head).await?;
        Ok(Peeked::new(opened.stream))
    }

    /// Sends bytes as they are and reads until the end.
    pub(crate) async fn raw(&self, authority: &str, bytes: &[u8]) -> String {
        let mut stream = self.stream(authority).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut heard = Vec::new();
        let reading = stream.read_to_end(&mut heard);
        let ended = tokio::time::timeout(PATIENCE, reading).await;
        assert!(
            ended.is_ok(),
            "no end after {:?}",
            String::from_utf8_lossy(bytes)
        );
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// An HTTP/1 connection.
    pub(crate) async fn http1(&self, authority: &str) -> Http1 {
        let stream = self.stream(authority).await.unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        task::spawn_local("client", connection);
        Http1(sender)
    }

    /// An HTTP/2 connection.
    pub(crate) async fn http2(&self, authority: &str) -> Http2 {
        let stream = self.stream(authority).await.unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(Local, TokioIo::new(stream))
                .await
                .unwrap();
        task::spawn_local("client", connection);
        Http2(sender)
    }

    /// One request over a connection of its own.
    pub(crate) async fn ask(&self, authority: &str, request: Request<Full<Bytes>>) -> Answer {
        self.http1(authority).await.ask(request).await
    }

    /// One GET over a connection of its own.
    pub(crate) async fn get(&self, authority: &str, path: &str) -> Answer {
        self.ask(authority, get(path)).await
    }
}

/// A GET of a path.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    with(path, &[])
}

/// A GET of a path with headers.
pub(crate) fn with(path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::get(path).header("host", "web.shop");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// A POST of a body.
pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("host", "web.shop");
    request.body(Full::new(body.into())).unwrap()
}

pub(crate) struct Http1(hyper::client::conn::http1::SendRequest<Full<Bytes>>);

#[derive(Clone)]
pub(crate) struct Http2(hyper::client::conn::http2::SendRequest<Full<Bytes>>);

impl Http1 {
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.0.ready().await.unwrap();
        let asking = self.0.send_request(request);
        let response = tokio::time::timeout(PATIENCE, asking)
            .await
            .expect("an answer");
        read(response.unwrap()).await
    }
}

impl Http2 {
    pub(crate) async fn ask(&mut self, mut request: Request<Full<Bytes>>) -> Answer {
        let path = request.uri().to_string();
        *request.uri_mut() = format!("http://web.shop{path}").parse().unwrap();
        request.headers_mut().remove("host");
        let asking = self.0.send_request(request);
        let response = tokio::time::timeout(PATIENCE, asking)
            .await
            .expect("an answer");
        read(response.unwrap()).await
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let whole = tokio::time::timeout(PATIENCE, body.collect())
        .await
        .expect("the end");
    let whole = whole.unwrap();
    Answer {
        status: head.status,
        headers: head.headers,
        body: whole.to_bytes(),
    }
}
