//! Recipe of a request: check -> who may ask -> which rule -> break, limit, answer here or -> attempt ->
//! reply. Next hop: `upstream`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ::http::header::CONNECTION;
use ::http::{HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use mesh::authz::Token;
use mesh::model::waypoint::PathNormalization;

use crate::asked::{self, Asked};
use crate::body::Source;
use crate::call::{Call, Target};
use crate::destinations::Destination;
use crate::ending::Ending;
use crate::filter::{cors, fault, redirect};
use crate::matcher::Facts;
use crate::reply::Reply;
use crate::routes::compile::{Action, Port, Rule, Share};
use crate::served::{Bound, Policies, Served};

pub mod serve;
mod guard;
mod tell;
mod limited;
pub mod attempt;
pub mod outgoing;
pub mod change;

use outgoing::Outgoing;
use serve::Switch;
use tell::Tale;

/// Answers one request, whatever becomes of it.
pub async fn answer(
    call: &Rc<Call>,
    request: Request<Incoming>,
    switch: Option<&Switch>,
) -> Response<Outgoing> {
    let served = call.worker.shared.served.snapshot();
    let (parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let is_http1 = parts.version < Version::HTTP_2;
    let is_grpc = asked::is_grpc_call(&parts.headers);
    let settings = Arc::clone(served.observed(call.service_key()));
    let mut tale = Tale::begin(call, settings, &parts);
    let asked = Asked::new(parts, normalization(&served), request_id);
    let (answered, mut tale) = match asked {
        Ok(mut asked) => {
            let room = call.worker.shared.config.requests.replay_bytes;
            let body = Source::new(body, room, is_grpc);
            tale.asked(&mut asked, &body);
            let exchange = Exchange {
                call,
                served: &served,
                body,
                switch,
                tale: RefCell::new(tale),
            };
            let answered = Box::pin(exchange.run(asked)).await;
            (answered, exchange.tale.into_inner())
        }
        Err(ending) => (Err(ending.into()), tale),
    };
    let response = answered.unwrap_or_else(|reply| {
        tale.answered_here(&reply);
        let closes = is_http1 && reply.ending.closes();
        let mut response = reply.write(is_grpc, is_head).map(Outgoing::whole);
        if closes {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    });
    tale.sent(response.status(), response.headers());
    response.map(|body| body.counted(is_grpc).watched(Box::new(tale)))
}

fn normalization(served: &Served) -> PathNormalization {
    let waypoint = served.waypoint.as_ref();
    waypoint.map(|it| it.path_normalization).unwrap_or_default()
}

/// A fresh id for a request that has none (UUID version 4, RFC 9562).
fn request_id() -> HeaderValue {
    let random: u128 = rand::random();
    let id = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = [b'-'; 36];
    let digits = text.iter_mut().enumerate();
    let digits = digits.filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
    for (place, (_, digit)) in (0..32).rev().zip(digits) {
        let value = (id >> (4 * place)) & 0xf;
        *digit = char::from_digit(value as u32, 16).map_or(b'0', |it| it as u8);
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
}

/// One request and what it is judged by.
pub(crate) struct Exchange<'a> {
    pub(crate) call: &'a Rc<Call>,
    pub(crate) served: &'a Arc<Served>,
    pub(crate) body: Rc<Source>,
    pub(crate) switch: Option<&'a Switch>,
    pub(crate) tale: RefCell<Tale>,
}

/// Where a request goes.
enum Course {
    /// As a rule says.
    Rule(Arc<Rule>),
    /// To the service itself, as no rule says otherwise.
    Own(Arc<Destination>),
}

impl Exchange<'_> {
    async fn run(&self, mut asked: Asked) -> Result<Response<Outgoing>, Reply> {
        let policies = self.policies();
        let begun = Instant::now();
        let passed = match policies.is_empty() {
            true => guard::Passed::default(),
            false => Box::pin(guard::pass(self, policies, &mut asked)).await?,
        };
        if !policies.is_empty() {
            self.tale.borrow_mut().step("policy", begun, "");
        }
        let course = self.course(&asked, passed.token.as_ref())?;
        if asked
            .upgrade
            .as_ref()
            .is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"websocket"))
        {
            return Err(Ending::UpgradeRefused.into());
        }
        let rule = match &course {
            Course::Rule(rule) => Some(&**rule),
            Course::Own(_) => None,
        };
        if let Some(rule) = rule {
            self.tale.borrow_mut().takes(&rule.origin);
        }
        let left = limited::take(self, policies, &asked, passed.token.as_ref(), rule);
        let left = left.map_err(|reply| *reply)?;
        let cors = match rule {
            Some(rule) => self.before(rule, &asked).await?,
            None => ::http::HeaderMap::new(),
        };
        let mut response = match &course {
            Course::Own(destination) => {
                Box::pin(attempt::forward(self, &asked, None, None, destination)).await?
            }
            Course::Rule(rule) => match self.action(rule, &mut asked) {
                Done::Forward(share, destination) => {
                    self.mirror(rule, &asked);
                    let rule = Some(&**rule);
                    let share = Some(share);
                    Box::pin(attempt::forward(self, &asked, rule, share, &destination)).await?
                }
                Done::Reply(reply) => return Err(reply),
            },
        };
        if let Some(rule) = rule {
            rule.response_headers.apply(response.headers_mut());
            cors::put(&cors, response.headers_mut());
        }
        if let Some(left) = left {
            left.put(response.headers_mut());
        }
        if let Some(additions) = &passed.additions {
            additions.to_response(response.headers_mut());
        }
        Ok(response)
    }

    /// Which rule a request is for.
    fn course(&self, asked: &Asked, token: Option<&Token>) -> Result<Course, Ending> {
        let (key, port) = match &self.call.target {
            Target::Service { key, port, .. } => (key, *port),
            Target::Workload { itself } => return Ok(Course::Own(Arc::clone(itself))),
        };
        let bound: &Arc<Bound> = self.served.service(key).ok_or(Ending::NoHealthyEndpoint)?;
        let routes = bound.routes.as_ref().ok_or(Ending::RoutesRejected)?;
        let namespace = &self.call.link.peer.identity.namespace;
        let Some(found) = port_for(&routes.ports, port, namespace) else {
            let own = routes.own.iter().find(|(number, _)| *number == port);
            let (_, destination) = own.ok_or(Ending::NoHealthyEndpoint)?;
            return Ok(Course::Own(Arc::clone(destination)));
        };
        let number = found.http.find(&Facts {
            path: &asked.path,
            query: asked.query.as_deref(),
            method: &asked.method,
            scheme: asked.scheme(),
            authority: asked.host(),
            headers: &asked.headers,
            claim: &|path| claim(token, path),
        });
        let number = number.and_then(|it| usize::try_from(it).ok());
        let rule = number.and_then(|it| found.rules.get(it));
        rule.map(|it| Course::Rule(Arc::clone(it)))
            .ok_or(Ending::NoRoute)
    }

    /// Policies that hold for what was dialled.
    fn policies(&self) -> &Policies {
        self.served.policies(self.call.service_key())
    }

    /// What a rule does before a request goes anywhere: break it on purpose, answer a preflight. What is to be
    /// added to the response comes back.
    async fn before(&self, rule: &Rule, asked: &Asked) -> Result<::http::HeaderMap, Reply> {
        self.break_on_purpose(rule, asked).await?;
        let Some(rules) = &rule.cors else {
            return Ok(::http::HeaderMap::new());
        };
        match rules.decide(&asked.method, &asked.headers) {
            cors::Verdict::GoOn(headers) => Ok(headers),
            cors::Verdict::Answer(headers) => {
                let mut reply = Reply::from(Ending::Preflight);
                reply.headers = headers;
                Err(reply)
            }
        }
    }

    /// Delays or refuses the share of requests that a rule wants broken.
    async fn break_on_purpose(&self, rule: &Rule, asked: &Asked) -> Result<(), Reply> {
        if let Some(delay) = fault::delay(&rule.fault, rand::random()) {
            tokio::time::sleep(delay).await;
        }
        let Some(refusal) = fault::refusal(&rule.fault, asked.is_grpc, rand::random()) else {
            return Ok(());
        };
        let mut reply = Reply::from(Ending::FaultAbort);
        reply.status = refusal.status;
        reply.grpc = refusal.grpc;
        Err(reply)
    }

    /// What a rule does with a request; changes the request on the way.
    fn action<'r>(&self, rule: &'r Rule, asked: &mut Asked) -> Done<'r> {
        match &rule.action {
            Action::Reply(status, body) => {
                let reply = Reply::from(Ending::DirectReply).with_status(*status);
                Done::Reply(reply.with_body(body.clone()))
            }
            Action::Redirect(redirect) => {
                let location = redirect.location(redirect::Asked {
                    scheme: asked.scheme(),
                    authority: asked.host(),
                    path: &asked.path,
                    query: asked.query.as_deref(),
                    port: self.port(),
                });
                let mut reply = Reply::from(Ending::Redirect).with_status(redirect.status);
                if let Ok(location) = HeaderValue::from_str(&location) {
                    reply.headers.insert(::http::header::LOCATION, location);
                }
                Done::Reply(reply)
            }
            Action::Forward(shares) => {
                let Some(share) = shares.pick(rand::random()) else {
                    return Done::Reply(Ending::NoBackend.into());
                };
                let Some(destination) = &share.destination else {
                    return Done::Reply(Ending::NoBackend.into());
                };
                change::apply(rule, share, asked);
                Done::Forward(share, Arc::clone(destination))
            }
        }
    }

    /// Sends copies where a rule wants them; nobody waits for that.
    fn mirror(&self, rule: &Rule, asked: &Asked) {
        for (destination, share) in &rule.mirrors {
            if fault::is_of_share(*share, rand::random()) {
                self.call.worker.observer.recorder.events.mirrored.inc();
                attempt::mirror(self, asked, Arc::clone(destination));
            }
        }
    }

    /// Port of the service that was dialled.
    pub(crate) fn port(&self) -> u16 {
        self.call.port()
    }
}

/// Values of a claim whose path has `\u{1f}` between its parts.
fn claim(token: Option<&Token>, path: &str) -> Vec<String> {
    let texts = token
        .into_iter()
        .flat_map(|it| it.texts(path.split('\u{1f}')));
    texts.map(str::to_owned).collect()
}

/// What a rule did with a request.
enum Done<'r> {
    Forward(&'r Share, Arc<Destination>),
    Reply(Reply),
}

/// Pure. The routes of a port for a client of `namespace`: consumer routes before those for all.
fn port_for<'a>(ports: &'a [Port], number: u16, namespace: &str) -> Option<&'a Port> {
    let of_port = || ports.iter().filter(|it| it.number == number);
    let own =
        of_port().find(|it| !it.client_namespace.is_empty() && *it.client_namespace == *namespace);
    let found = own.or_else(|| of_port().find(|it| it.client_namespace.is_empty()));
    found.filter(|it| !it.http.is_empty())
}
