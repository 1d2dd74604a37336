//! What binds a request to an endpoint: a hash of what it has, or the session that its client is in.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use mesh::model::destination::{Balancing, TrafficPolicy};
use mesh::model::http::{SessionBy, SessionPersistence};

use crate::asked::Asked;
use crate::balance::EndpointId;
use crate::balance::hash::{self, Hashable, Hashed};
use crate::balance::session::{self, Announcement, Session};

/// The same for all tries of a request.
#[derive(Default)]
pub(super) struct Affinity<'a> {
    hashed: Hashed,
    policy: Option<&'a SessionPersistence>,
    session: Option<Session>,
    /// Seconds since 1970.
    now: u64,
}

impl<'a> Affinity<'a> {
    /// Reads a request. `random` is the value of a cookie that has to be made.
    pub(super) fn of(
        policy: &TrafficPolicy,
        persistence: Option<&'a SessionPersistence>,
        asked: &Asked,
        client: IpAddr,
        random: u64,
    ) -> Self {
        let hashed = match &policy.balancing {
            Balancing::Hash { keys, .. } => {
                let request = Hashable {
                    headers: &asked.headers,
                    query: asked.query.as_deref(),
                    source: Some(client),
                };
                hash::of(keys, request, random)
            }
            _ => Hashed::default(),
        };
        let mut affinity = Self {
            hashed,
            policy: persistence,
            ..Self::default()
        };
        if let Some(policy) = persistence {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            affinity.now = since.map(|it| it.as_secs()).unwrap_or_default();
            affinity.session = session::read(policy, &asked.headers, affinity.now);
        }
        affinity
    }

    /// For a choice by hash.
    pub(super) fn hash(&self) -> Option<u64> {
        self.hashed.hash
    }

    /// The endpoint of the session.
    pub(super) fn endpoint(&self) -> Option<u64> {
        self.session.map(|it| it.endpoint)
    }

    /// Tells the client what it has to send next time.
    pub(super) fn tell(&self, endpoint: &EndpointId, headers: &mut HeaderMap) {
        for cookie in &self.hashed.set_cookies {
            append(headers, SET_COOKIE, cookie);
        }
        let Some(policy) = self.policy else { return };
        match (
            session::announce(policy, self.session, endpoint, self.now),
            &policy.by,
        ) {
            (Some(Announcement::Cookie(text)), _) => append(headers, SET_COOKIE, &text),
            (Some(Announcement::Header(text)), SessionBy::Header(name)) => {
                // A name that is no header name was never found in a request either.
                if let (Ok(name), Ok(value)) = (
                    HeaderName::from_bytes(name.as_bytes()),
                    HeaderValue::from_str(&text),
                ) {
                    headers.insert(name, value);
                }
            }
            _ => (),
        }
    }
}

fn append(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::COOKIE;
    use mesh::model::destination::{HashKey, HashTable};
    use mesh::names::WorkloadUid;

    use super::*;

    fn asked(headers: HeaderMap) -> Asked {
        let (mut parts, ()) = http::Request::builder()
            .uri("/?user=u1")
            .header("host", "shop")
            .body(())
            .unwrap()
            .into_parts();
        parts.headers.extend(headers);
        let id = || HeaderValue::from_static("id");
        Asked::new(parts, Default::default(), id).unwrap()
    }

    fn by_cookie() -> TrafficPolicy {
        let cookie = HashKey::Cookie {
            name: "user".into(),
            path: "/".into(),
            ttl: Some(Duration::ZERO),
        };
        let balancing = Balancing::Hash {
            keys: vec![cookie],
            table: HashTable::Ring(1024),
        };
        TrafficPolicy {
            balancing,
            ..TrafficPolicy::default()
        }
    }

    /// What the client is told: names and values of headers.
    fn told(affinity: &Affinity<'_>, endpoint: &EndpointId) -> HeaderMap {
        let mut headers = HeaderMap::new();
        affinity.tell(endpoint, &mut headers);
        headers
    }

    #[test]
    fn a_client_learns_its_cookie_once() {
        let (policy, client) = (by_cookie(), [10, 0, 0, 1].into());
        let endpoint = EndpointId::new(WorkloadUid("a".into()), 80);
        let first = asked(HeaderMap::new());
        let first = Affinity::of(&policy, None, &first, client, 7);
        let cookie = told(&first, &endpoint).remove(SET_COOKIE).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let headers = HeaderMap::from_iter([(COOKIE, pair.parse().unwrap())]);
        let again = asked(headers);
        let again = Affinity::of(&policy, None, &again, client, 8);
        assert_eq!(again.hash(), first.hash());
        assert!(told(&again, &endpoint).is_empty());
    }

    #[test]
    fn a_session_in_a_header_is_told_when_it_is_new_or_moved() {
        let persistence = SessionPersistence {
            by: SessionBy::Header("x-session".into()),
            absolute_timeout: None,
        };
        let (policy, client) = (TrafficPolicy::default(), [10, 0, 0, 1].into());
        let of = |headers| {
            let asked = asked(headers);
            Affinity::of(&policy, Some(&persistence), &asked, client, 7)
        };
        let a = EndpointId::new(WorkloadUid("a".into()), 80);
        let b = EndpointId::new(WorkloadUid("b".into()), 80);
        let first = told(&of(HeaderMap::new()), &a);
        assert!(first.contains_key("x-session"));
        let again = of(first);
        assert_eq!(again.endpoint(), Some(a.key()));
        assert!(told(&again, &a).is_empty());
        assert!(told(&again, &b).contains_key("x-session"));
    }
}
