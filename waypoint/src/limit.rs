//! How often requests may come: limits of all policies that hold, each with buckets by attributes of the request.
//! Source: docs/compat.md#rate-limits.
//!
//! Workers share the buckets without locks; how many there are is bounded.

pub mod registry;
mod buckets;
mod pace;

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh::model::Origin;
use mesh::model::attached::{AttachedPolicy, LimitBy, RateLimit, Target};

use crate::asked::Asked;
use crate::ending::Ending;
use crate::matcher::{BadMatch, Facts, Matcher, Text};
use crate::reply::Reply;
use buckets::Buckets;
use pace::{Pace, Taken};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The limits that hold for what was dialled.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    policies: Vec<Arc<Policy>>,
}

/// The limits of one user's object.
#[derive(Debug)]
pub struct Policy {
    origin: Origin,
    /// Rules whose requests count; `None` for all requests.
    routes: Option<Vec<Origin>>,
    limits: Vec<Limit>,
}

#[derive(Debug)]
struct Limit {
    name: Arc<str>,
    matches: Vec<Matcher>,
    principals: Vec<Text>,
    by: Vec<By>,
    pace: Pace,
    buckets: Buckets,
    seed: RandomState,
}

#[derive(Debug)]
enum By {
    Header(HeaderName),
    Query(Arc<str>),
    Principal,
    SourceIp,
    Claim(Arc<str>),
}

/// A request, as limits see it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What matches are asked of.
    pub facts: Facts<'a>,
    /// Identity of the caller, without `spiffe://`.
    pub principal: &'a str,
    /// Address of the caller.
    pub source: std::net::IpAddr,
    /// The rule that it matched.
    pub rule: Option<&'a Origin>,
}

/// What is left of the tightest limit that a request counted for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    limit: u32,
    remaining: u32,
    reset: Duration,
}

impl Policy {
    /// Compiles the limits of a policy.
    ///
    /// # Errors
    /// [`BadMatch`] names the text that cannot be used.
    pub fn new(policy: &AttachedPolicy, limits: &[RateLimit]) -> Result<Self, BadMatch> {
        let mut routes = Vec::new();
        let mut is_wide = false;
        for target in &policy.targets {
            match target {
                Target::Route(origin) => routes.push(origin.clone()),
                Target::Gateway(_) | Target::Service(_) => is_wide = true,
            }
        }
        Ok(Self {
            origin: policy.origin.clone(),
            routes: (!is_wide).then_some(routes),
            limits: limits.iter().map(Limit::new).collect::<Result<_, _>>()?,
        })
    }

    fn is_about(&self, rule: Option<&Origin>) -> bool {
        let is_same = |wanted: &Origin, rule: &Origin| {
            wanted.kind == rule.kind
                && wanted.namespace == rule.namespace
                && wanted.name == rule.name
                && (wanted.rule.is_empty() || wanted.rule == rule.rule)
        };
        let routes = self.routes.as_ref();
        routes.is_none_or(|all| rule.is_some_and(|rule| all.iter().any(|it| is_same(it, rule))))
    }
}

impl Limit {
    fn new(model: &RateLimit) -> Result<Self, BadMatch> {
        let by = |it: &LimitBy| {
            Ok(match it {
                LimitBy::Header(name) => {
                    let header = HeaderName::from_bytes(name.as_bytes());
                    By::Header(header.map_err(|_| BadMatch::Header(Arc::clone(name)))?)
                }
                LimitBy::Query(name) => By::Query(Arc::clone(name)),
                LimitBy::Principal => By::Principal,
                LimitBy::SourceIp => By::SourceIp,
                LimitBy::Claim(path) => By::Claim(Arc::clone(path)),
            })
        };
        Ok(Self {
            name: Arc::clone(&model.name),
            matches: model
                .matches
                .iter()
                .map(Matcher::new)
                .collect::<Result<_, _>>()?,
            principals: model
                .principals
                .iter()
                .map(Text::new)
                .collect::<Result<_, _>>()?,
            by: model.by.iter().map(by).collect::<Result<_, BadMatch>>()?,
            pace: Pace::new(model.requests, model.per, model.burst),
            buckets: Buckets::new(!model.by.is_empty()),
            seed: RandomState::default(),
        })
    }

    fn counts(&self, request: &Request<'_>) -> bool {
        let is_matched =
            self.matches.is_empty() || self.matches.iter().any(|it| it.matches(&request.facts));
        let mut principals = self.principals.iter();
        is_matched
            && (self.principals.is_empty() || principals.any(|it| it.matches(request.principal)))
    }

    /// Which bucket a request is for.
    fn key(&self, request: &Request<'_>) -> u64 {
        let mut hasher = self.seed.build_hasher();
        let facts = &request.facts;
        for by in &self.by {
            match by {
                By::Header(name) => {
                    let lines = facts.headers.get_all(name).iter();
                    lines.for_each(|line| line.as_bytes().hash(&mut hasher));
                }
                By::Query(name) => {
                    let value = facts
                        .query
                        .and_then(|it| crate::matcher::parameter(it, name));
                    value.hash(&mut hasher);
                }
                By::Principal => request.principal.hash(&mut hasher),
                By::SourceIp => request.source.to_canonical().hash(&mut hasher),
                By::Claim(path) => (facts.claim)(path).hash(&mut hasher),
            }
            // What ends one attribute never begins the next.
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }
}

impl Limits {
    /// All of these.
    pub fn new(policies: Vec<Arc<Policy>>) -> Self {
        Self { policies }
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Counts a request for every limit that it is about. `now` is the time since a fixed moment. `None` when no
    /// limit is about it.
    ///
    /// # Errors
    /// The answer to a request that one limit too many is about; for the limits before it, it has counted.
    pub fn take(&self, request: &Request<'_>, now: Duration) -> Result<Option<Left>, Box<Reply>> {
        let mut tightest: Option<Left> = None;
        for policy in self.policies.iter().filter(|it| it.is_about(request.rule)) {
            for limit in policy.limits.iter().filter(|it| it.counts(request)) {
                let taken = limit.buckets.take(limit.key(request), now, &limit.pace);
                let left = Left {
                    limit: limit.pace.requests(),
                    remaining: taken.remaining(),
                    reset: taken.full_in(),
                };
                if let Taken::Refused { again_in, .. } = taken {
                    return Err(Box::new(refuse(policy, limit, left, again_in)));
                }
                let is_tighter = tightest.is_none_or(|it| left.remaining < it.remaining);
                tightest = if is_tighter { Some(left) } else { tightest };
            }
        }
        Ok(tightest)
    }
}

impl Left {
    /// Tells the client.
    pub fn put(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(seconds(self.reset)));
    }
}

fn refuse(policy: &Policy, limit: &Limit, left: Left, again_in: Duration) -> Reply {
    let mut reply = Reply::from(Ending::RateLimited);
    left.put(&mut reply.headers);
    let wait = HeaderValue::from(seconds(again_in).max(1));
    reply.headers.insert(http::header::RETRY_AFTER, wait);
    reply.details = Some(format!(
        "local_rate_limited[{} limit {}]",
        policy.origin, limit.name
    ));
    reply
}

/// Whole seconds, never too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What a request is to limits.
pub fn facts_of<'a>(asked: &'a Asked, claim: &'a dyn Fn(&str) -> Vec<String>) -> Facts<'a> {
    Facts {
        path: &asked.path,
        query: asked.query.as_deref(),
        method: &asked.method,
        scheme: asked.scheme(),
        authority: asked.host(),
        headers: &asked.headers,
        claim,
    }
}

#[cfg(test)]
mod tests;
