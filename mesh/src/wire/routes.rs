//! Routes of a service that is bound to a waypoint, both ways.

mod rule;

use bytes::Bytes;
use prost::Message;
use proto::waypoint as pb;

use super::field::{Subject, all, origin_message, origin_of, texts, texts_message};
use super::{Error, Problem, change, destination, matches, observe};
use crate::model::http::{
    Backend, HttpEntry, HttpMatch, PortRoutes, ServiceRoutes, TcpRule, TlsRule,
};

/// Type URL of these resources.
pub const TYPE_URL: &str = proto::type_urls::SERVICE_ROUTES;

/// Reads the bytes of one `weft.waypoint.v1.ServiceRoutes`. Every index in it leads somewhere.
///
/// # Errors
/// Names the service, the field and the problem; nothing is guessed.
pub fn decode(bytes: &[u8]) -> Result<ServiceRoutes, Error> {
    let kind = "routes";
    let nameless = Subject { kind, name: "" };
    let message = pb::ServiceRoutes::decode(bytes)
        .map_err(|error| nameless.error("bytes", Problem::Malformed(error)))?;
    let name = format!("{}/{}", message.namespace, message.hostname);
    let subject = Subject { kind, name: &name };
    let key = subject.service("hostname", &message.namespace, &message.hostname)?;
    let destinations = all(message.destinations, |it| {
        destination::destination(subject, it)
    })?;
    let count = destinations.len();
    let own = |message: pb::OwnDestination| {
        let port = subject.port("own.port", message.port)?;
        let index = subject.index("own.destination", message.destination, count)?;
        Ok((port, index))
    };
    let telemetry = message.telemetry;
    let telemetry = telemetry.map(|it| observe::telemetry(subject, it));
    Ok(ServiceRoutes {
        key,
        ports: all(message.ports, |it| port(subject, it, count))?,
        destinations,
        own: all(message.own, own)?,
        telemetry: telemetry.transpose()?,
    })
}

/// Bytes of the resource; equal values give equal bytes.
pub fn encode(routes: &ServiceRoutes) -> Bytes {
    let ServiceRoutes {
        key,
        ports,
        destinations,
        own,
        telemetry,
    } = routes;
    let own = own.iter().map(|(port, destination)| pb::OwnDestination {
        port: (*port).into(),
        destination: *destination,
    });
    let destinations = destinations.iter();
    let message = pb::ServiceRoutes {
        namespace: key.namespace.to_string(),
        hostname: key.hostname.to_string(),
        ports: ports.iter().map(port_message).collect(),
        destinations: destinations.map(destination::destination_message).collect(),
        own: own.collect(),
        telemetry: telemetry.as_ref().map(observe::telemetry_message),
    };
    message.encode_to_vec().into()
}

/// `destinations` is how many there are.
fn port(
    subject: Subject<'_>,
    message: pb::PortRoutes,
    destinations: usize,
) -> Result<PortRoutes, Error> {
    let rules = message.rules;
    let rules = all(rules, |it| rule::rule(subject, it, destinations))?;
    let entry = |message: pb::HttpEntry| {
        let matches = message.matches.map(|it| matches::http(subject, it));
        Ok(HttpEntry {
            matches: matches.transpose()?.unwrap_or_default(),
            rule: subject.index("ports.http.rule", message.rule, rules.len())?,
        })
    };
    Ok(PortRoutes {
        port: subject.port("ports.port", message.port)?,
        client_namespace: message.client_namespace.into(),
        http: all(message.http, entry)?,
        tls: all(message.tls, |it| tls(subject, it, destinations))?,
        tcp: all(message.tcp, |it| tcp(subject, it, destinations))?,
        rules,
    })
}

fn port_message(routes: &PortRoutes) -> pb::PortRoutes {
    let PortRoutes {
        port,
        client_namespace,
        http,
        rules,
        tls,
        tcp,
    } = routes;
    let everything = HttpMatch::default();
    let entry = |entry: &HttpEntry| {
        let matches = Some(&entry.matches).filter(|it| **it != everything);
        pb::HttpEntry {
            matches: matches.map(matches::http_message),
            rule: entry.rule,
        }
    };
    pb::PortRoutes {
        port: (*port).into(),
        client_namespace: client_namespace.to_string(),
        http: http.iter().map(entry).collect(),
        rules: rules.iter().map(rule::rule_message).collect(),
        tls: tls.iter().map(tls_message).collect(),
        tcp: tcp.iter().map(tcp_message).collect(),
    }
}

fn backends(
    subject: Subject<'_>,
    messages: Vec<pb::Backend>,
    destinations: usize,
) -> Result<Vec<Backend>, Error> {
    let index = |it| subject.index("backends.destination", it, destinations);
    all(messages, |message: pb::Backend| {
        Ok(Backend {
            weight: message.weight,
            destination: message.destination.map(index).transpose()?,
            request_headers: change::headers(message.request_headers),
            response_headers: change::headers(message.response_headers),
        })
    })
}

fn backends_message(backends: &[Backend]) -> Vec<pb::Backend> {
    let one = |backend: &Backend| {
        let Backend {
            weight,
            destination,
            request_headers,
            response_headers,
        } = backend;
        pb::Backend {
            weight: *weight,
            destination: *destination,
            request_headers: change::headers_message(request_headers),
            response_headers: change::headers_message(response_headers),
        }
    };
    backends.iter().map(one).collect()
}

fn tls(subject: Subject<'_>, message: pb::TlsRule, destinations: usize) -> Result<TlsRule, Error> {
    Ok(TlsRule {
        origin: origin_of(subject.required("tls.origin", message.origin)?),
        server_names: texts(message.server_names),
        backends: backends(subject, message.backends, destinations)?,
    })
}

fn tls_message(rule: &TlsRule) -> pb::TlsRule {
    pb::TlsRule {
        origin: Some(origin_message(&rule.origin)),
        server_names: texts_message(&rule.server_names),
        backends: backends_message(&rule.backends),
    }
}

fn tcp(subject: Subject<'_>, message: pb::TcpRule, destinations: usize) -> Result<TcpRule, Error> {
    Ok(TcpRule {
        origin: origin_of(subject.required("tcp.origin", message.origin)?),
        backends: backends(subject, message.backends, destinations)?,
    })
}

fn tcp_message(rule: &TcpRule) -> pb::TcpRule {
    pb::TcpRule {
        origin: Some(origin_message(&rule.origin)),
        backends: backends_message(&rule.backends),
    }
}
