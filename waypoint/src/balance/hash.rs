//! Pure. A number made of what a request has, for endpoints that are chosen by it.
//!
//! Source: docs/compat.md#balancing.

use std::net::IpAddr;

use http::HeaderMap;
use mesh::model::destination::HashKey;
use twox_hash::XxHash64;

use super::cookie;

/// What of a request is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Hashable<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its query, without the question mark.
    pub query: Option<&'a str>,
    /// Address of the client.
    pub source: Option<IpAddr>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    /// The hash; `None` when the request has nothing of what should be hashed.
    pub hash: Option<u64>,
    /// `Set-Cookie` headers of the response, for cookies that were made.
    pub set_cookies: Vec<String>,
}

/// Hashes a request. Several keys are combined in order, missing ones are passed over. `random` is the
/// value of cookies that have to be made.
pub fn of(keys: &[HashKey], request: Hashable<'_>, random: u64) -> Hashed {
    let mut hashed = Hashed::default();
    for key in keys {
        if let Some(hash) = of_key(key, request, random, &mut hashed.set_cookies) {
            let before = hashed.hash.unwrap_or(0);
            hashed.hash = Some(before.rotate_left(1) ^ hash);
        }
    }
    hashed
}

fn of_key(
    key: &HashKey,
    request: Hashable<'_>,
    random: u64,
    made: &mut Vec<String>,
) -> Option<u64> {
    match key {
        HashKey::Header(name) => of_header(request.headers, name),
        HashKey::SourceIp => request
            .source
            .map(|ip| of_text(&ip.to_canonical().to_string())),
        HashKey::Query(name) => parameter(request.query?, name).map(of_text),
        HashKey::Cookie { name, path, ttl } => {
            let value = cookie::read(request.headers, name).filter(|v| !v.is_empty());
            if let Some(value) = value {
                return Some(of_text(value));
            }
            let ttl = (*ttl)?;
            let value = format!("{random:016x}");
            made.push(cookie::write(name, &value, Some(ttl), path));
            Some(of_text(&value))
        }
    }
}

fn of_text(text: &str) -> u64 {
    XxHash64::oneshot(0, text.as_bytes())
}

/// All values of a header together; the order of lines does not count.
fn of_header(headers: &HeaderMap, name: &str) -> Option<u64> {
    let mut values = headers.get_all(name).iter().map(|value| value.as_bytes());
    let (first, second) = (values.next()?, values.next());
    let Some(second) = second else {
        return Some(XxHash64::oneshot(0, first));
    };
    let mut all: Vec<&[u8]> = [first, second].into_iter().chain(values).collect();
    all.sort_unstable();
    Some(XxHash64::oneshot(0, &all.join(&b',')))
}

/// First value of a query parameter, as it is written.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn hash(keys: &[HashKey], pairs: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers(pairs);
        let request = Hashable {
            headers: &headers,
            query: Some("user=u1&user=u2&empty&x=%41"),
            source: Some([10, 0, 0, 1].into()),
        };
        of(keys, request, 0xab).hash
    }

    fn header() -> [HashKey; 1] {
        [HashKey::Header("x-user".into())]
    }

    fn cookie(ttl: Option<u64>) -> [HashKey; 1] {
        [HashKey::Cookie {
            name: "u".into(),
            path: "/p".into(),
            ttl: ttl.map(Duration::from_secs),
        }]
    }

    #[test]
    fn header_lines_are_combined_and_their_order_does_not_count() {
        let joined = hash(&header(), &[("x-user", "a,b")]);
        assert_eq!(joined, Some(of_text("a,b")));
        assert_eq!(hash(&header(), &[("x-user", "a"), ("x-user", "b")]), joined);
        assert_eq!(hash(&header(), &[("x-user", "b"), ("x-user", "a")]), joined);
        assert_ne!(hash(&header(), &[("x-user", "a")]), joined);
        assert_eq!(hash(&header(), &[("other", "a")]), None);
    }

    #[test]
    fn each_key_is_found_where_it_is() {
        let query = |name: &str| [HashKey::Query(name.into())];
        assert_eq!(hash(&[HashKey::SourceIp], &[]), Some(of_text("10.0.0.1")));
        assert_eq!(hash(&query("user"), &[]), Some(of_text("u1")));
        assert_eq!(hash(&query("empty"), &[]), Some(of_text("")));
        assert_eq!(hash(&query("x"), &[]), Some(of_text("%41")));
        assert_eq!(hash(&query("absent"), &[]), None);
        assert_eq!(
            hash(&cookie(None), &[("cookie", "u=\"v\"")]),
            Some(of_text("v"))
        );
        assert_eq!(hash(&cookie(None), &[]), None);
        assert_eq!(hash(&[], &[]), None);
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let headers = HeaderMap::new();
        let from = |source: &str| {
            let request = Hashable {
                headers: &headers,
                query: None,
                source: source.parse().ok(),
            };
            of(&[HashKey::SourceIp], request, 0).hash
        };
        assert_eq!(from("::ffff:10.0.0.1"), from("10.0.0.1"));
        assert_eq!(from("nowhere"), None);
    }

    #[test]
    fn keys_are_combined_and_missing_ones_passed_over() {
        let both = [HashKey::SourceIp, HashKey::Header("x-user".into())];
        let (ip, user) = (of_text("10.0.0.1"), of_text("a"));
        let combined = hash(&both, &[("x-user", "a")]);
        assert_eq!(combined, Some(ip.rotate_left(1) ^ user));
        assert_eq!(hash(&both, &[]), Some(ip));
    }

    #[test]
    fn a_made_cookie_hashes_as_it_will_when_it_comes_back() {
        let headers = HeaderMap::new();
        let request = Hashable {
            headers: &headers,
            query: None,
            source: None,
        };
        for (ttl, expected) in [
            (
                Some(30),
                Some("u=\"00000000000000ab\"; Max-Age=30; Path=/p; HttpOnly"),
            ),
            (Some(0), Some("u=\"00000000000000ab\"; Path=/p; HttpOnly")),
            (None, None),
        ] {
            let hashed = of(&cookie(ttl), request, 0xab);
            let made = hashed.set_cookies.first().map(String::as_str);
            assert_eq!(made, expected);
            if made.is_some() {
                let again = hash(&cookie(ttl), &[("cookie", "u=00000000000000ab")]);
                assert_eq!(again, hashed.hash);
            }
        }
        // An empty one is as good as none.
        let empty = self::headers(&[("cookie", "u=")]);
        let request = Hashable {
            headers: &empty,
            ..request
        };
        assert_eq!(of(&cookie(Some(0)), request, 1).set_cookies.len(), 1);
    }
}
