//! Pure. Where a redirect sends a client.

use std::sync::Arc;

use http::StatusCode;
use mesh::model::http::{Redirect, RedirectPort};

use super::rewrite::NewPath;
use crate::matcher::BadMatch;

/// A redirect, compiled.
#[derive(Clone, Debug)]
pub struct Answer {
    scheme: Option<Arc<str>>,
    host: Option<Arc<str>>,
    path: Option<NewPath>,
    port: RedirectPort,
    /// Its status.
    pub status: StatusCode,
}

/// What a request asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host header or `:authority`, with port if it has one.
    pub authority: &'a str,
    /// Path without query.
    pub path: &'a str,
    /// Query without question mark.
    pub query: Option<&'a str>,
    /// Port of the service that was dialled.
    pub port: u16,
}

impl Answer {
    /// Compiles it.
    ///
    /// # Errors
    /// [`BadMatch`] when an expression cannot be used.
    pub fn new(model: &Redirect) -> Result<Self, BadMatch> {
        Ok(Self {
            scheme: model.scheme.clone(),
            host: model.host.clone(),
            path: model.path.as_ref().map(NewPath::new).transpose()?,
            port: model.port,
            status: StatusCode::from_u16(model.status).unwrap_or(StatusCode::FOUND),
        })
    }

    /// The value of `location`. Source: docs/compat.md#redirects.
    pub fn location(&self, asked: Asked<'_>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(asked.scheme);
        let (own_host, own_port) = split(asked.authority);
        let (host, host_port) = self.host.as_deref().map_or((own_host, None), split);
        let port = match self.port {
            RedirectPort::Fixed(port) => Some(port),
            RedirectPort::FromRequest => host_port.or(own_port).or(Some(asked.port)),
            RedirectPort::AsHost if self.host.is_some() => host_port,
            RedirectPort::AsHost if self.scheme.is_some() => {
                own_port.filter(|it| ![80, 443].contains(it))
            }
            RedirectPort::AsHost => own_port,
            RedirectPort::FromScheme => match &self.scheme {
                Some(_) => host_port,
                None => host_port.or(Some(asked.port)),
            },
        };
        let well_known = match scheme {
            "https" => 443,
            _ => 80,
        };
        let path = self.path.as_ref().map(|it| it.of(asked.path));
        let path = path.as_deref().unwrap_or(asked.path);
        let mut location = format!("{scheme}://{host}");
        if let Some(port) = port.filter(|port| *port != well_known) {
            location.push_str(&format!(":{port}"));
        }
        location.push_str(path);
        if let Some(query) = asked.query {
            location.push('?');
            location.push_str(query);
        }
        location
    }
}

/// Host and port of an authority.
fn split(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => {
            match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (authority, None),
            }
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::model::http::PathRewrite;

    fn asked(authority: &str, port: u16) -> Asked<'_> {
        Asked {
            scheme: "http",
            authority,
            path: "/a/b",
            query: Some("q=1"),
            port,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn the_port_is_that_of_the_rule_the_scheme_or_the_service() {
        let redirect = |scheme: Option<&str>, host: Option<&str>, port| {
            Answer::new(&Redirect {
                scheme: scheme.map(Into::into),
                host: host.map(Into::into),
                path: None,
                port,
                status: 302,
            })
            .unwrap()
        };
        use RedirectPort::{AsHost, Fixed, FromRequest, FromScheme};
        for (scheme, host, port, from, expected) in [
            (
                None,
                Some("example.org"),
                FromScheme,
                asked("shop", 80),
                "http://example.org/a/b?q=1",
            ),
            (
                None,
                Some("example.org"),
                FromScheme,
                asked("shop:8080", 8080),
                "http://example.org:8080/a/b?q=1",
            ),
            (
                Some("https"),
                None,
                FromScheme,
                asked("shop:8080", 8080),
                "https://shop/a/b?q=1",
            ),
            (
                Some("https"),
                None,
                Fixed(443),
                asked("shop", 80),
                "https://shop/a/b?q=1",
            ),
            (
                Some("http"),
                None,
                Fixed(8083),
                asked("shop", 80),
                "http://shop:8083/a/b?q=1",
            ),
            (
                None,
                None,
                Fixed(80),
                asked("shop", 8080),
                "http://shop/a/b?q=1",
            ),
            (
                None,
                None,
                FromRequest,
                asked("shop:9000", 80),
                "http://shop:9000/a/b?q=1",
            ),
            (
                Some("https"),
                None,
                AsHost,
                asked("shop:8080", 80),
                "https://shop:8080/a/b?q=1",
            ),
            (
                Some("https"),
                None,
                AsHost,
                asked("shop:80", 80),
                "https://shop/a/b?q=1",
            ),
            (
                None,
                Some("other:81"),
                AsHost,
                asked("shop:8080", 80),
                "http://other:81/a/b?q=1",
            ),
            (
                None,
                None,
                FromScheme,
                asked("[::1]:9000", 80),
                "http://[::1]/a/b?q=1",
            ),
        ] {
            assert_eq!(
                redirect(scheme, host, port).location(from),
                expected,
                "{scheme:?} {host:?} {port:?}"
            );
        }
    }

    #[test]
    fn paths_are_replaced_and_the_query_stays() {
        let redirect = Answer::new(&Redirect {
            path: Some(PathRewrite::Elements {
                prefix: "/a".into(),
                replacement: "/new".into(),
            }),
            status: 301,
            ..Redirect::default()
        })
        .unwrap();
        assert_eq!(redirect.status, 301);
        assert_eq!(
            redirect.location(asked("shop", 80)),
            "http://shop/new/b?q=1"
        );
    }
}
