//! Routes of a service.

use mesh::model::http::{
    Abort, Backend, Cors, Fault, Fraction, HeaderChanges, HttpAction, HttpEntry, HttpMatch,
    HttpRule, Mirror, OriginMatch, PathRewrite, PortRoutes, Redirect, RedirectPort, Retry, RetryOn,
    Rewrite, ServiceRoutes, SessionBy, SessionPersistence, TcpRule, TlsRule,
};

use super::Draw;

impl Draw {
    pub(super) fn service_routes(&mut self) -> ServiceRoutes {
        let destinations = self.list(Self::destination);
        let count = u32::try_from(destinations.len()).unwrap();
        ServiceRoutes {
            key: self.service(),
            ports: self.list(|it| it.port_routes(count)),
            own: match count {
                0 => Vec::new(),
                _ => self.list(|it| (it.port(), it.below(count))),
            },
            telemetry: self.maybe(Self::telemetry),
            destinations,
        }
    }

    fn port_routes(&mut self, destinations: u32) -> PortRoutes {
        let rules = self.list(|it| it.http_rule(destinations));
        let count = u32::try_from(rules.len()).unwrap();
        let entry = |it: &mut Self| HttpEntry {
            matches: match it.flag() {
                true => it.http_match(),
                false => HttpMatch::default(),
            },
            rule: it.below(count),
        };
        PortRoutes {
            port: self.port(),
            client_namespace: self.text(),
            http: match count {
                0 => Vec::new(),
                _ => self.list(entry),
            },
            rules,
            tls: self.list(|it| TlsRule {
                origin: it.origin(),
                server_names: it.texts(),
                backends: it.list(|it| it.backend(destinations)),
            }),
            tcp: self.list(|it| TcpRule {
                origin: it.origin(),
                backends: it.list(|it| it.backend(destinations)),
            }),
        }
    }

    fn http_rule(&mut self, destinations: u32) -> HttpRule {
        let action = match self.below(3) {
            0 => HttpAction::Redirect(self.redirect()),
            1 => HttpAction::Reply {
                status: self.status(),
                body: self.text(),
            },
            _ => HttpAction::Forward(self.list(|it| it.backend(destinations))),
        };
        let mirror = |it: &mut Self| Mirror {
            destination: it.below(destinations),
            share: it.fraction(),
        };
        HttpRule {
            origin: self.origin(),
            action,
            request_headers: self.header_changes(),
            response_headers: self.header_changes(),
            rewrite: Rewrite {
                host: self.text(),
                path: self.maybe(Self::path_rewrite),
            },
            mirrors: match destinations {
                0 => Vec::new(),
                _ => self.list(mirror),
            },
            cors: self.maybe(Self::cors),
            fault: Fault {
                delay: self.maybe(|it| (it.duration(), it.fraction())),
                abort: self.maybe(|it| (it.abort(), it.fraction())),
            },
            timeout: self.maybe(Self::duration),
            retry: self.maybe(Self::retry),
            session: self.maybe(Self::session),
        }
    }

    fn backend(&mut self, destinations: u32) -> Backend {
        Backend {
            weight: self.number(),
            destination: (destinations > 0 && self.flag()).then(|| self.below(destinations)),
            request_headers: self.header_changes(),
            response_headers: self.header_changes(),
        }
    }

    fn header_changes(&mut self) -> HeaderChanges {
        HeaderChanges {
            remove: self.texts(),
            set: self.list(Self::pair),
            add: self.list(Self::pair),
        }
    }

    fn path_rewrite(&mut self) -> PathRewrite {
        let (what, replacement) = self.pair();
        match self.below(4) {
            0 => PathRewrite::Full(what),
            1 => PathRewrite::Elements {
                prefix: what,
                replacement,
            },
            2 => PathRewrite::Prefix {
                prefix: what,
                replacement,
            },
            _ => PathRewrite::Regex {
                regex: what,
                replacement,
            },
        }
    }

    fn redirect(&mut self) -> Redirect {
        Redirect {
            scheme: self.maybe(Self::text),
            host: self.maybe(Self::text),
            path: self.maybe(Self::path_rewrite),
            port: match self.below(4) {
                0 => RedirectPort::FromScheme,
                1 => RedirectPort::FromRequest,
                2 => RedirectPort::AsHost,
                _ => RedirectPort::Fixed(self.port()),
            },
            status: self.status(),
        }
    }

    fn fraction(&mut self) -> Fraction {
        Fraction {
            numerator: self.number(),
            denominator: self.number().max(1),
        }
    }

    fn cors(&mut self) -> Cors {
        Cors {
            origins: self.list(|it| match it.flag() {
                true => OriginMatch::Text(it.text_match()),
                false => OriginMatch::Wildcard(it.text()),
            }),
            methods: self.texts(),
            headers: self.texts(),
            expose: self.texts(),
            credentials: self.flag(),
            max_age: self.maybe(Self::duration),
            answer_unmatched: self.flag(),
        }
    }

    fn abort(&mut self) -> Abort {
        match self.flag() {
            true => Abort::Http(self.status()),
            false => Abort::Grpc(self.port()),
        }
    }

    pub(super) fn retry(&mut self) -> Retry {
        Retry {
            attempts: self.number(),
            on: RetryOn {
                any_5xx: self.flag(),
                gateway_error: self.flag(),
                reset: self.flag(),
                reset_before_request: self.flag(),
                connect_failure: self.flag(),
                refused_stream: self.flag(),
                retriable_4xx: self.flag(),
                rate_limited: self.flag(),
                cancelled: self.flag(),
                deadline_exceeded: self.flag(),
                internal: self.flag(),
                resource_exhausted: self.flag(),
                unavailable: self.flag(),
            },
            codes: self.list(Self::status),
            per_try_timeout: self.maybe(Self::duration),
            backoff: self.maybe(Self::duration),
            backoff_is_minimum: self.flag(),
            same_endpoint: self.flag(),
            remote_localities: self.flag(),
        }
    }

    fn session(&mut self) -> SessionPersistence {
        SessionPersistence {
            by: match self.flag() {
                true => SessionBy::Header(self.text()),
                false => SessionBy::Cookie {
                    name: self.text(),
                    path: self.text(),
                    permanent: self.flag(),
                },
            },
            absolute_timeout: self.maybe(Self::duration),
        }
    }
}
