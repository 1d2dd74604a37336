//! One or more tries of a request: an endpoint, a connection, an answer in time; again where that may help.
//! Next hop: `upstream`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, SERVER, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version as Spoken};
use mesh::lifecycle::task;
use mesh::model::http::Retry;
use mesh::telemetry::report;

use super::Exchange;
use super::outgoing::{Kept, Outgoing};
use super::tell::Failed;
use crate::asked::{self, Asked};
use crate::balance::{
    EndpointId, LocalFailure, Outcome, Overflow, Picked, Question, RequestPermit, RetryPermit,
    retry,
};
use crate::body::Replay;
use crate::destinations::{Destination, Target};
use crate::ending::Ending;
use crate::observe::record::Flag;
use crate::reply::{Reply, SERVER_NAME};
use crate::routes::compile::{Rule, Share};
use crate::upstream::{Answer, Key, SendError, Terms, Version};

mod affinity;
mod deadline;
mod failure;

use affinity::Affinity;
use failure::Failure;

const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");
const EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// What a try came to.
struct Tried {
    answer: Answer,
    picked: Picked,
    permit: RequestPermit,
}

/// Everything that stays the same from try to try.
struct Course<'a> {
    exchange: &'a Exchange<'a>,
    asked: &'a Asked,
    destination: &'a Arc<Destination>,
    version: Version,
    terms: Terms,
    retry: &'a Retry,
    timeout: Option<Duration>,
    affinity: Affinity<'a>,
    random: Box<dyn FnMut() -> u64>,
}

/// Sends a request on and waits for the head of its answer.
///
/// # Errors
/// What the client hears when nobody answered.
pub(super) async fn forward(
    exchange: &Exchange<'_>,
    asked: &Asked,
    rule: Option<&Rule>,
    share: Option<&Share>,
    destination: &Arc<Destination>,
) -> Result<Response<Outgoing>, Reply> {
    let started = Instant::now();
    let none = retry::default_policy();
    let general = exchange
        .served
        .waypoint
        .as_ref()
        .map(|it| &it.default_retry);
    let retry = rule.and_then(|it| it.retry.as_deref()).or(general);
    let timeout = rule.and_then(|it| it.timeout);
    let affinity = Affinity::of(
        &destination.policy(),
        rule.and_then(|it| it.session.as_ref()),
        asked,
        exchange.call.client,
        rand::random(),
    );
    let mut course = Course {
        exchange,
        asked,
        destination,
        version: version(asked, destination),
        terms: terms(exchange, destination),
        retry: retry.unwrap_or(&none),
        timeout,
        affinity,
        random: Box::new(rand::random::<u64>),
    };
    let limit = deadline::of(timeout, asked);
    let tried = tokio::select! {
        biased;
        tried = course.tries() => tried?,
        ending = deadline::over(&exchange.body, &limit) => return Err(ending.into()),
    };
    exchange.body.let_go();
    let rest = limit.rest(&exchange.body);
    Ok(course.respond(tried, share, started, rest))
}

impl Course<'_> {
    async fn tries(&mut self) -> Result<Tried, Reply> {
        let mut tried: Vec<EndpointId> = Vec::new();
        let mut retries = 0;
        let mut permit = None;
        loop {
            let outcome = Box::pin(self.one(&mut tried)).await;
            // Counts until its outcome is known.
            drop(permit.take());
            let Some((wait, next)) = self.again(&outcome, retries) else {
                return outcome.map_err(|failure| {
                    let mut reply = Reply::from(failure.ending());
                    reply.retried = retries > 0;
                    reply
                });
            };
            let why = match &outcome {
                Ok(_) => "status",
                Err(failure) => failure.ending().details(),
            };
            drop(outcome);
            permit = Some(next);
            retries += 1;
            self.exchange.tale.borrow().again(why);
            tokio::time::sleep(wait).await;
        }
    }

    /// How long to wait for another try, if there is to be one and there may be.
    fn again(
        &self,
        outcome: &Result<Tried, Failure>,
        retries: u32,
    ) -> Option<(Duration, RetryPermit)> {
        let tried = match outcome {
            Ok(answered) => retry::Tried::Answered {
                status: answered.answer.response.status().as_u16(),
                headers: answered.answer.response.headers(),
            },
            Err(failure) => retry::Tried::Failed(failure.for_retry()),
        };
        let decision = retry::decide(self.retry, retries, tried, rand::random());
        let flag = |flag| self.exchange.tale.borrow_mut().flag(flag);
        match decision {
            retry::Decision::Again(wait) => {
                self.exchange.body.replay()?;
                let permit = self.destination.cluster.enter_retry();
                let permit = permit.inspect_err(|_| flag(Flag::UpstreamOverflow));
                Some((wait, permit.ok()?))
            }
            retry::Decision::Exhausted if retries > 0 => {
                flag(Flag::RetriesExceeded);
                None
            }
            _ => None,
        }
    }

    /// One try.
    async fn one(&mut self, tried: &mut Vec<EndpointId>) -> Result<Tried, Failure> {
        let cluster = &self.destination.cluster;
        let permit = cluster.enter_request()?;
        let mut question = Question::new(Instant::now(), &mut *self.random);
        let same: &[EndpointId] = &[];
        question.tried = if self.retry.same_endpoint {
            same
        } else {
            tried
        };
        question.farther = self.retry.remote_localities;
        question.hash = self.affinity.hash();
        question.session = self.affinity.endpoint();
        let picked = cluster.pick(question).map_err(|_| Failure::NoEndpoint)?;
        let target = self
            .destination
            .target(&picked)
            .ok_or(Failure::NoEndpoint)?;
        tried.push((*picked).clone());
        let body = self.exchange.body.replay().ok_or(Failure::NoEndpoint)?;
        let mut request = self.request(body)?;
        self.began(&target, request.headers_mut());
        let call = self.exchange.call;
        let key = Key {
            way: target.way.of(call.client_address(), call.dialled()),
            version: self.version,
        };
        let upstream = &self.exchange.call.worker.upstream;
        let sending = Box::pin(upstream.send(&key, self.terms.clone(), request));
        let sent = match self.retry.per_try_timeout {
            None => sending.await,
            Some(limit) => match deadline::one_try(&self.exchange.body, limit, sending).await {
                Some(sent) => sent,
                None => {
                    picked.report(Outcome::Local(LocalFailure::Timeout), Instant::now());
                    let failed = Failed::of(Failure::TryTimeout.ending());
                    self.exchange.tale.borrow_mut().attempted(0, None, failed);
                    return Err(Failure::TryTimeout);
                }
            },
        };
        self.settle(sent, picked, permit, &key)
    }

    /// A try goes to this endpoint.
    fn began(&self, target: &Target, headers: &mut HeaderMap) {
        let mut tale = self.exchange.tale.borrow_mut();
        tale.attempt(self.destination, target, headers);
    }

    /// Says how a try went: to its endpoint's counts and to the request's story.
    fn settle(
        &self,
        sent: Result<Answer, SendError>,
        picked: Picked,
        permit: RequestPermit,
        key: &Key,
    ) -> Result<Tried, Failure> {
        let mut tale = self.exchange.tale.borrow_mut();
        match sent {
            Ok(answer) => {
                let status = answer.response.status().as_u16();
                let local = Some(answer.lease.local);
                tale.attempted(status, local, Failed::default());
                picked.report(outcome(status, answer.response.headers()), Instant::now());
                Ok(Tried {
                    answer,
                    picked,
                    permit,
                })
            }
            Err(error) => {
                tracing::debug!(endpoint = %key.way.address, error = report(&error), "a try failed");
                let failure = Failure::of(&error, self.exchange.body.broken());
                let failed = Failed::of(failure.ending());
                tale.attempted(0, None, failed);
                if let Some(local) = failure.local() {
                    picked.report(Outcome::Local(local), Instant::now());
                }
                Err(failure)
            }
        }
    }

    /// The request as the endpoint sees it.
    fn request(&self, body: Replay) -> Result<Request<Replay>, Failure> {
        let asked = self.asked;
        let mut request = Request::new(body);
        *request.method_mut() = asked.method.clone();
        let path = match &asked.query {
            Some(query) => format!("{}?{query}", asked.path),
            None => asked.path.clone(),
        };
        let mut headers = asked.headers.clone();
        if let Some(timeout) = self.timeout {
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            headers.insert(EXPECTED, HeaderValue::from(millis));
        }
        let uri = match self.version {
            Version::Http1 => {
                headers.insert(HOST, asked.authority.clone());
                if let Some(protocol) = &asked.upgrade {
                    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                    headers.insert(UPGRADE, protocol.clone());
                }
                Uri::try_from(path)
            }
            Version::Http2 => {
                *request.version_mut() = Spoken::HTTP_2;
                let (scheme, host) = (asked.scheme(), asked.host());
                Uri::try_from(format!("{scheme}://{host}{path}"))
            }
        };
        *request.uri_mut() = uri.map_err(|_| Failure::Unwritable)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The answer as the client sees it.
    fn respond(
        self,
        tried: Tried,
        share: Option<&Share>,
        started: Instant,
        rest: Option<Duration>,
    ) -> Response<Outgoing> {
        let Tried {
            answer,
            picked,
            permit,
        } = tried;
        let Answer { response, lease } = answer;
        let (mut head, body) = response.into_parts();
        let mut tale = self.exchange.tale.borrow_mut();
        tale.answered(head.status, &head.headers);
        drop(tale);
        let is_switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
        asked::remove_hop(&mut head.headers);
        if let Some(share) = share {
            share.response_headers.apply(&mut head.headers);
        }
        // Answers to upgrades carry none, as Envoy's.
        if self.asked.upgrade.is_none() {
            let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            head.headers.insert(SERVICE_TIME, HeaderValue::from(millis));
        }
        head.headers.insert(SERVER, SERVER_NAME);
        self.affinity.tell(&picked, &mut head.headers);
        let kept = Kept {
            _picked: picked,
            _permit: permit,
        };
        let body = match self.exchange.switch.filter(|_| is_switched) {
            Some(switch) => {
                if let Some(protocol) = &self.asked.upgrade {
                    head.headers
                        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
                    head.headers.insert(UPGRADE, protocol.clone());
                }
                switch.set(lease);
                Outgoing::whole(bytes::Bytes::new())
            }
            None => {
                let deadline = rest.map(|rest| Box::pin(tokio::time::sleep(rest)));
                Outgoing::upstream(body, lease).until(deadline)
            }
        };
        head.version = Spoken::HTTP_11;
        Response::from_parts(head, body.keeping(kept))
    }
}

/// Which HTTP is spoken to a destination. Protocols can only be switched in HTTP/1.
fn version(asked: &Asked, destination: &Destination) -> Version {
    let client_does = asked.version == Spoken::HTTP_2;
    match asked.upgrade.is_none() && destination.speaks_http2(client_does) {
        true => Version::Http2,
        false => Version::Http1,
    }
}

fn terms(exchange: &Exchange<'_>, destination: &Destination) -> Terms {
    const CONNECT: Duration = Duration::from_secs(10);
    let policy = destination.policy();
    let general = exchange
        .served
        .waypoint
        .as_ref()
        .map(|it| it.connect_timeout);
    let limits = &policy.limits;
    Terms {
        cluster: Arc::clone(&destination.cluster),
        connect: limits.connect_timeout.or(general).unwrap_or(CONNECT),
        idle: limits.idle_timeout,
        requests: limits.requests_per_connection,
        streams: limits.streams,
        head: exchange
            .call
            .worker
            .shared
            .config
            .requests
            .response_head_bytes,
    }
}

/// How an answer counts for its endpoint.
fn outcome(status: u16, headers: &HeaderMap) -> Outcome {
    let grpc = headers.get("grpc-status").and_then(|it| it.to_str().ok());
    match grpc.and_then(|it| it.parse().ok()) {
        Some(grpc) => Outcome::Grpc(grpc),
        None => Outcome::Status(status),
    }
}

impl From<Overflow> for Failure {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

/// Sends a copy of a request elsewhere once its body has come; nobody waits for that, and its answer is
/// dropped. What is longer than is kept of a body is not copied.
pub(super) fn mirror(exchange: &Exchange<'_>, asked: &Asked, destination: Arc<Destination>) {
    let worker = Rc::clone(&exchange.call.worker);
    let body = Rc::clone(&exchange.body);
    let terms = terms(exchange, &destination);
    let version = version(asked, &destination);
    let (headers, authority) = (asked.headers.clone(), asked.authority.clone());
    let (client, dialled) = (exchange.call.client_address(), exchange.call.dialled());
    let (method, path, query) = (
        asked.method.clone(),
        asked.path.clone(),
        asked.query.clone(),
    );
    task::spawn_local("mirror", async move {
        body.ended().await;
        let Some(whole) = body.whole() else { return };
        let mut random = rand::random::<u64>;
        let question = Question::new(Instant::now(), &mut random);
        let Ok(picked) = destination.cluster.pick(question) else {
            return;
        };
        let Some(target) = destination.target(&picked) else {
            return;
        };
        let path = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let host = authority.to_str().unwrap_or_default();
        let uri = match version {
            Version::Http1 => Uri::try_from(path),
            Version::Http2 => Uri::try_from(format!("http://{host}{path}")),
        };
        let Ok(uri) = uri else { return };
        let mut request = Request::new(Replay::Whole(Some(whole)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if version == Version::Http1 {
            request.headers_mut().insert(HOST, authority);
        } else {
            *request.version_mut() = Spoken::HTTP_2;
        }
        let way = target.way.of(client, dialled);
        let key = Key { way, version };
        match worker.upstream.send(&key, terms, request).await {
            Ok(Answer { response, lease }) => drain(response, lease).await,
            Err(error) => tracing::debug!(error = report(&error), "a copy was not sent"),
        }
    });
}

/// Reads an answer that nobody wants, so that its connection can be used again.
async fn drain(response: Response<hyper::body::Incoming>, lease: crate::upstream::Lease) {
    use http_body_util::BodyExt;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return;
        }
    }
    lease.give_back();
}

/// Why a request was not answered, as what is sent says.
impl From<&SendError> for Ending {
    fn from(error: &SendError) -> Self {
        Failure::of(error, None).ending()
    }
}
