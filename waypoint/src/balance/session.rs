//! Pure. Keeps a client with its endpoint: reads and writes the value that names it.
//!
//! The value is a number made of the endpoint's name, and when the session began, so that it says nothing
//! of pods to clients. It is not signed: whoever changes it chooses another endpoint of the same
//! destination, which a few requests would have done too. A value that cannot be read or is too old
//! is none. Source: docs/compat.md#balancing.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use mesh::model::http::{SessionBy, SessionPersistence};

use super::cookie;
use super::endpoint::EndpointId;

/// How far clocks of two waypoints may differ, in seconds.
const SKEW: u64 = 60;

/// A session that a client is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its endpoint: [`EndpointId::key`], for `Question::session`.
    pub endpoint: u64,
    /// When it began, in seconds since 1970.
    pub began: u64,
}

/// What the response says, where the client has to learn of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// Value of a `Set-Cookie` header.
    Cookie(String),
    /// Value of the header that the policy names.
    Header(String),
}

/// The session that a request belongs to; `now` is in seconds since 1970.
pub fn read(policy: &SessionPersistence, headers: &HeaderMap, now: u64) -> Option<Session> {
    let value = match &policy.by {
        SessionBy::Cookie { name, .. } => cookie::read(headers, name)?,
        SessionBy::Header(name) => headers.get(&**name)?.to_str().ok()?,
    };
    let session = decode(value)?;
    let lasts = policy.absolute_timeout.map_or(u64::MAX, |t| t.as_secs());
    let is_alive =
        session.began <= now.saturating_add(SKEW) && now.saturating_sub(session.began) < lasts;
    is_alive.then_some(session)
}

/// What to tell the client after `endpoint` took its request; `None` when it knows.
pub fn announce(
    policy: &SessionPersistence,
    known: Option<Session>,
    endpoint: &EndpointId,
    now: u64,
) -> Option<Announcement> {
    if known.is_some_and(|session| session.endpoint == endpoint.key()) {
        return None;
    }
    let value = encode(Session {
        endpoint: endpoint.key(),
        began: now,
    });
    Some(match &policy.by {
        SessionBy::Header(_) => Announcement::Header(value),
        SessionBy::Cookie {
            name,
            path,
            permanent,
        } => {
            let max_age: Option<Duration> = policy.absolute_timeout.filter(|_| *permanent);
            Announcement::Cookie(cookie::write(name, &value, max_age, path))
        }
    })
}

fn encode(session: Session) -> String {
    let mut bytes = session.endpoint.to_be_bytes().to_vec();
    bytes.extend(session.began.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(value: &str) -> Option<Session> {
    let mut bytes = [0; 16];
    let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
    let (endpoint, began) = bytes.split_first_chunk::<8>()?;
    let (began, _) = began.split_first_chunk::<8>()?;
    (length == bytes.len()).then_some(Session {
        endpoint: u64::from_be_bytes(*endpoint),
        began: u64::from_be_bytes(*began),
    })
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use mesh::names::WorkloadUid;
    use proptest::prelude::*;

    use super::*;

    fn by_cookie(permanent: bool, seconds: Option<u64>) -> SessionPersistence {
        SessionPersistence {
            by: SessionBy::Cookie {
                name: "s".into(),
                path: "/".into(),
                permanent,
            },
            absolute_timeout: seconds.map(Duration::from_secs),
        }
    }

    fn endpoint(name: &str) -> EndpointId {
        EndpointId::new(WorkloadUid(name.into()), 80)
    }

    fn cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, format!("s={value}").parse().unwrap())])
    }

    #[test]
    fn a_client_comes_back_to_what_it_was_told() {
        let policy = by_cookie(false, None);
        let Some(Announcement::Cookie(text)) = announce(&policy, None, &endpoint("a"), 100) else {
            panic!("no cookie");
        };
        let (value, rest) = text.split_once(';').unwrap();
        assert_eq!(rest, " Path=/; HttpOnly");
        let headers = HeaderMap::from_iter([(COOKIE, value.parse().unwrap())]);
        let session = read(&policy, &headers, 1_000_000).unwrap();
        assert_eq!(session.endpoint, endpoint("a").key());
        assert_eq!(announce(&policy, Some(session), &endpoint("a"), 200), None);
        assert!(announce(&policy, Some(session), &endpoint("b"), 200).is_some());
    }

    #[test]
    fn a_header_works_like_a_cookie() {
        let policy = SessionPersistence {
            by: SessionBy::Header("x-session".into()),
            absolute_timeout: None,
        };
        let Some(Announcement::Header(value)) = announce(&policy, None, &endpoint("a"), 1) else {
            panic!("no header");
        };
        let name = http::HeaderName::from_static("x-session");
        let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        assert_eq!(
            read(&policy, &headers, 2).unwrap().endpoint,
            endpoint("a").key()
        );
    }

    #[test]
    fn only_permanent_cookies_outlive_the_browser() {
        for (permanent, seconds, expected) in [
            (true, Some(60), "; Max-Age=60; Path=/; HttpOnly"),
            (false, Some(60), "; Path=/; HttpOnly"),
            (true, None, "; Path=/; HttpOnly"),
        ] {
            let made = announce(&by_cookie(permanent, seconds), None, &endpoint("a"), 0);
            let Some(Announcement::Cookie(text)) = made else {
                panic!("no cookie");
            };
            assert!(text.ends_with(expected), "{text}");
        }
    }

    #[test]
    fn an_old_session_is_none() {
        let began = encode(Session {
            endpoint: 7,
            began: 1000,
        });
        for (timeout, now, expected) in [
            (Some(60), 1000, true),
            (Some(60), 1059, true),
            (Some(60), 1060, false),
            (None, 1_000_000_000, true),
            // A little ahead of us is another waypoint's clock, far ahead is nobody's.
            (Some(60), 950, true),
            (Some(60), 900, false),
        ] {
            let session = read(&by_cookie(false, timeout), &cookie(&began), now);
            assert_eq!(session.is_some(), expected, "{timeout:?} {now}");
        }
    }

    #[test]
    fn a_wrong_value_is_none() {
        let whole = encode(Session {
            endpoint: 7,
            began: 0,
        });
        let (longer, shorter) = (format!("{whole}AA"), &whole[1..]);
        for value in ["", "nonsense!", "AAAA", &longer, shorter, "\u{7f}"] {
            assert_eq!(decode(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(endpoint in any::<u64>(), began in any::<u64>()) {
            let session = Session { endpoint, began };
            prop_assert_eq!(decode(&encode(session)), Some(session));
        }

        #[test]
        fn any_value_is_read_or_refused(value in ".{0,40}") {
            decode(&value);
        }
    }
}
