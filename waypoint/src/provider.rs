//! The way to servers beside the data path: over the mesh where they are services of it, else plainly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::header::HOST;
use ::http::uri::Scheme;
use ::http::{HeaderValue, Request, Response, Uri, Version as Spoken};
use http_body_util::{BodyExt, Full};
use mesh::model::destination;
use mesh::model::provider::{ProviderAddress, ProviderHost};

use crate::authorize::external::{AnswerBody, Cause, Transport};
use crate::balance::{Picked, Question};
use crate::body::Replay;
use crate::call::Call;
use crate::destinations::{Destination, Destinations};
use crate::observe::trace::collectors::Resolve;
use crate::upstream::{Key, Terms, Version, Way};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest head of an answer, in bytes.
const HEAD: usize = 64 * 1024;
/// HTTP/2 streams on one connection.
const STREAMS: u32 = 100;

/// Servers as a worker reaches them.
pub struct Reached<'a>(pub &'a Call);

/// A server cannot be reached.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    /// The service is not known, or has no endpoint.
    #[error("{0} has no healthy endpoint")]
    NoEndpoint(String),
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
}

impl Transport for Reached<'_> {
    async fn send(
        &self,
        server: &ProviderAddress,
        request: Request<Full<bytes::Bytes>>,
    ) -> Result<Response<AnswerBody>, Cause> {
        let worker = &self.0.worker;
        let (known, way, picked) = reach(&worker.shared.destinations, server).await?;
        let version = match request.version() {
            Spoken::HTTP_2 => Version::Http2,
            _ => Version::Http1,
        };
        let terms = Terms {
            cluster: known.cluster.clone(),
            connect: CONNECT,
            idle: Some(Duration::from_secs(60)),
            requests: 0,
            streams: STREAMS,
            head: HEAD,
        };
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        if version == Version::Http1
            && let Some(authority) = head.uri.authority()
        {
            if !head.headers.contains_key(HOST) {
                head.headers
                    .insert(HOST, HeaderValue::from_str(authority.as_str())?);
            }
            let path = head.uri.path_and_query().map_or("/", |it| it.as_str());
            head.uri = Uri::try_from(path)?;
        }
        if version == Version::Http2 && head.uri.authority().is_none() {
            head.uri = addressed(head.uri, server)?;
        }
        let request = Request::from_parts(head, Replay::Whole(Some(body)));
        let key = Key { way, version };
        let answer = worker.upstream.send(&key, terms, request).await?;
        let (head, body) = answer.response.into_parts();
        // Read to its end here: an answer is short, and its connection is free again.
        let whole = http_body_util::Limited::new(body, LONGEST)
            .collect()
            .await?;
        drop(picked);
        answer.lease.give_back();
        let body = whole.map_err(Cause::from).boxed_unsync();
        Ok(Response::from_parts(head, body))
    }
}

/// A path at a server: a request of HTTP/2 is not complete without a scheme and an authority (RFC 9113, 8.3.1).
fn addressed(path: Uri, server: &ProviderAddress) -> Result<Uri, ::http::Error> {
    let port = server.port;
    let authority = match &server.host {
        ProviderHost::Service(key) => format!("{}:{port}", key.hostname),
        ProviderHost::Address(address) => SocketAddr::new(*address, port).to_string(),
        ProviderHost::Name(name) => format!("{name}:{port}"),
    };
    let mut parts = path.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.try_into()?);
    Ok(Uri::from_parts(parts)?)
}

/// The way to a server, and the endpoint that was chosen where it is a service of the mesh.
async fn reach(
    destinations: &Destinations,
    server: &ProviderAddress,
) -> Result<(Arc<Destination>, Way, Option<Picked>), Cause> {
    let outside = |host: &str| destination::Destination {
        service: crate::destinations::outside(host),
        port: server.port,
        subset: None,
        policy: destination::TrafficPolicy::default(),
    };
    match &server.host {
        ProviderHost::Service(key) => {
            let missing = || Unreachable::NoEndpoint(key.to_string());
            let known = destinations.of_provider(server).ok_or_else(missing)?;
            let mut random = rand::random::<u64>;
            let question = Question::new(Instant::now(), &mut random);
            let picked = known.cluster.pick(question).map_err(|_| missing())?;
            let target = known.target(&picked).ok_or_else(missing)?;
            let way = target.way.clone();
            Ok((known, way, Some(picked)))
        }
        ProviderHost::Address(address) => {
            let known = destinations.find(&outside(&address.to_string()));
            Ok((known, plain(SocketAddr::new(*address, server.port)), None))
        }
        ProviderHost::Name(name) => {
            let mut found = tokio::net::lookup_host((&**name, server.port)).await?;
            let missing = || Unreachable::NoAddress(name.to_string());
            let way = plain(found.next().ok_or_else(missing)?);
            Ok((destinations.find(&outside(name)), way, None))
        }
    }
}

/// Collectors of spans as the control runtime reaches them: plainly, by the address of an endpoint.
#[derive(Clone)]
pub struct Collectors(pub Arc<Destinations>);

impl Resolve for Collectors {
    async fn resolve(&self, collector: &ProviderAddress) -> Result<SocketAddr, String> {
        match &collector.host {
            ProviderHost::Address(address) => Ok(SocketAddr::new(*address, collector.port)),
            ProviderHost::Name(name) => {
                let found = tokio::net::lookup_host((&**name, collector.port)).await;
                let mut found = found.map_err(|error| error.to_string())?;
                let missing = || Unreachable::NoAddress(name.to_string()).to_string();
                found.next().ok_or_else(missing)
            }
            ProviderHost::Service(key) => {
                let missing = || Unreachable::NoEndpoint(key.to_string()).to_string();
                let known = self.0.of_provider(collector).ok_or_else(missing)?;
                let mut random = rand::random::<u64>;
                let question = Question::new(Instant::now(), &mut random);
                let picked = known.cluster.pick(question).map_err(|_| missing())?;
                Ok(known.target(&picked).ok_or_else(missing)?.way.address)
            }
        }
    }
}

/// Longest answer that is read, in bytes.
const LONGEST: usize = 2 << 20;

fn plain(address: SocketAddr) -> Way {
    Way {
        address,
        host: None,
        tunnel: None,
        tls: None,
        announced: None,
    }
}

#[cfg(test)]
mod tests {
    use mesh::names::NamespacedHostname;

    use super::*;

    #[test]
    fn a_question_over_http2_says_whom_it_is_for() {
        for (host, wanted) in [
            (
                ProviderHost::Service(NamespacedHostname::new("n", "judge.n.svc")),
                "http://judge.n.svc:9000/a.B/C",
            ),
            (
                ProviderHost::Address("fd00::1".parse().unwrap()),
                "http://[fd00::1]:9000/a.B/C",
            ),
            (
                ProviderHost::Name("judge.example".into()),
                "http://judge.example:9000/a.B/C",
            ),
        ] {
            let server = ProviderAddress { host, port: 9000 };
            let uri = addressed(Uri::from_static("/a.B/C"), &server).unwrap();
            assert_eq!(uri.to_string(), wanted);
        }
    }
}
