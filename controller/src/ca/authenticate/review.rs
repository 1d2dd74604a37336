//! Checks tokens by asking the API server: a TokenReview for our audiences, remembered for a while.
//!
//! Source: Kubernetes API reference, TokenReview v1; docs/compat.md#tokens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::Method;
use mesh::identity::{Identity, TrustDomain};
use objects::api::{Api, Call, Content};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::token::LENGTH_LIMIT;
use super::{AuthError, Authenticating, Authenticator};
use crate::ca::{Caller, PodReference};

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
/// How long an answer counts. A pod that is deleted meanwhile is refused all the same: callers are compared with the pods
/// that exist.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many answers are remembered.
const MEMORY: usize = 10_000;
/// How many reviews are under way at once; more wait.
const AT_ONCE: usize = 32;
/// What the API server calls pod and node in a review's answer.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Asks the API server whose a token is.
pub struct ReviewAuthenticator {
    api: Api,
    audiences: Vec<String>,
    trust_domain: watch::Receiver<TrustDomain>,
    at_once: Semaphore,
    remembered: Mutex<Memory>,
}

impl ReviewAuthenticator {
    /// Accepts tokens for one of these audiences; callers are placed in the trust domain of the moment.
    pub fn new(
        api: Api,
        audiences: Vec<String>,
        trust_domain: watch::Receiver<TrustDomain>,
    ) -> Self {
        Self {
            api,
            audiences,
            trust_domain,
            at_once: Semaphore::new(AT_ONCE),
            remembered: Mutex::default(),
        }
    }

    async fn check(&self, bearer: &str) -> Result<Caller, AuthError> {
        check_shape(bearer)?;
        let trust_domain = self.trust_domain.borrow().clone();
        let known = self.remembered().find(bearer, Instant::now());
        if let Some(proven) = known {
            return proven.caller(trust_domain);
        }
        let _turn = self.at_once.acquire().await;
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": bearer, "audiences": self.audiences}});
        let call = Call::send(Method::POST, PATH, Content::Object, body);
        let review = self.api.call(call).await.map_err(AuthError::Review)?;
        let proven = Proven::read(&review, &self.audiences)?;
        let caller = proven.clone().caller(trust_domain)?;
        self.remembered().keep(bearer, proven, Instant::now());
        Ok(caller)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authenticator for ReviewAuthenticator {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> Authenticating<'a> {
        Box::pin(self.check(bearer))
    }
}

/// What is no signed token costs nobody a question.
fn check_shape(bearer: &str) -> Result<(), AuthError> {
    if bearer.is_empty() {
        return Err(AuthError::Missing);
    }
    if bearer.len() > LENGTH_LIMIT {
        return Err(AuthError::TooLong {
            length: bearer.len(),
            limit: LENGTH_LIMIT,
        });
    }
    let mut parts = bearer.split('.');
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !part.is_empty() && part.bytes().all(fits)
    };
    if parts.by_ref().take(3).filter(|it| is_part(it)).count() != 3 || parts.next().is_some() {
        return Err(AuthError::Shape);
    }
    Ok(())
}

/// Whom a token proves, before the trust domain is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proven {
    namespace: String,
    account: String,
    pod: Option<PodReference>,
    node: Option<String>,
}

impl Proven {
    /// Reads a review's answer. It must say for which of our audiences the token is: an API server that does not know
    /// audiences would accept tokens that are meant for itself.
    fn read(review: &Value, wanted: &[String]) -> Result<Proven, AuthError> {
        let status = review.get("status").unwrap_or(&Value::Null);
        if status.get("authenticated") != Some(&Value::Bool(true)) {
            let why = status.get("error").and_then(Value::as_str);
            return Err(AuthError::Refused {
                why: why.unwrap_or("no reason given").to_owned(),
            });
        }
        let texts = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let audiences = texts(status.get("audiences"));
        if !audiences.iter().any(|it| wanted.contains(it)) {
            return Err(AuthError::Audience {
                found: audiences,
                expected: wanted.to_vec(),
            });
        }
        let user = status.pointer("/user/username").and_then(Value::as_str);
        let user = user.and_then(|it| it.strip_prefix("system:serviceaccount:"));
        let account = user.and_then(|it| it.split_once(':'));
        let (namespace, account) = account.ok_or(AuthError::Claim { claim: "username" })?;
        let extra = |key: &str| {
            let found = status.pointer("/user/extra").and_then(|it| it.get(key));
            match texts(found).as_slice() {
                [] => Ok(None),
                [one] if !one.is_empty() => Ok(Some(one.clone())),
                _ => Err(AuthError::Claim { claim: "extra" }),
            }
        };
        let pod = match (extra(POD_NAME)?, extra(POD_UID)?) {
            (None, None) => None,
            (Some(name), Some(uid)) => Some(PodReference {
                name: name.into(),
                uid: uid.into(),
            }),
            _ => return Err(AuthError::Claim { claim: "pod" }),
        };
        Ok(Proven {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            pod,
            node: extra(NODE_NAME)?,
        })
    }

    fn caller(self, trust_domain: TrustDomain) -> Result<Caller, AuthError> {
        let identity = Identity::new(trust_domain, self.namespace.as_str(), self.account.as_str());
        if Identity::parse(&identity.to_string()).is_err() {
            return Err(AuthError::Claim { claim: "username" });
        }
        Ok(Caller {
            identity,
            pod: self.pod,
            node: self.node.map(Into::into),
        })
    }
}

/// Answers by token. Tokens are secrets: this is never shown.
#[derive(Default)]
struct Memory {
    answers: HashMap<String, (Proven, Instant)>,
}

impl Memory {
    fn find(&self, bearer: &str, now: Instant) -> Option<Proven> {
        let (proven, until) = self.answers.get(bearer)?;
        (now < *until).then(|| proven.clone())
    }

    fn keep(&mut self, bearer: &str, proven: Proven, now: Instant) {
        if self.answers.len() >= MEMORY {
            self.answers.retain(|_, (_, until)| now < *until);
        }
        if self.answers.len() < MEMORY {
            self.answers
                .insert(bearer.to_owned(), (proven, now + REMEMBERED));
        }
    }
}

#[cfg(test)]
mod tests;
