//! Routes as the controller sends them, made ready for requests: everything that can be wrong is found here.

use std::sync::Arc;
use std::time::Duration;

use mesh::model::Origin;
use mesh::model::http::{
    self as model, Backend, Fault, HttpAction, HttpRule, PortRoutes, Retry, ServiceRoutes,
    SessionPersistence,
};
use mesh::model::observe::Telemetry;
use mesh::names::NamespacedHostname;

use super::table::Table;
use crate::destinations::{Destination, Destinations};
use crate::filter::headers::{BadHeader, Changes};
use crate::filter::rewrite::NewPath;
use crate::filter::{cors, redirect};
use crate::matcher::BadMatch;
use crate::observe::Settings;

/// Why routes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadRoutes {
    /// A condition cannot be compiled.
    #[error(transparent)]
    Match(#[from] BadMatch),
    /// A header change cannot be made.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// A number leads nowhere.
    #[error("{what} {number} does not exist")]
    Number {
        /// What it should be the number of.
        what: &'static str,
        /// The number.
        number: u32,
    },
}

/// The routes of one service.
pub struct Service {
    /// The service.
    pub key: NamespacedHostname,
    /// Its ports with routes.
    pub ports: Vec<Port>,
    /// Its own endpoints by port, for ports without routes.
    pub own: Vec<(u16, Arc<Destination>)>,
    /// Its telemetry, when not the waypoint's.
    pub telemetry: Option<Observed>,
}

/// Telemetry, ready for requests.
#[derive(Clone)]
pub struct Observed {
    /// What is logged, counted and traced.
    pub settings: Arc<Settings>,
    /// Where spans go, so that its endpoints are known.
    _collector: Option<Arc<Destination>>,
}

impl Observed {
    /// Makes it ready; what cannot be used is said in the log.
    pub fn new(model: &Telemetry, known: &Destinations) -> Self {
        let (settings, problems) = Settings::compile(model, |name| std::env::var(name).ok());
        for problem in problems {
            tracing::warn!(%problem, "telemetry is not as it was asked for");
        }
        let collector = model.tracing.as_ref().map(|it| &it.collector);
        Self {
            settings: Arc::new(settings),
            _collector: collector.and_then(|it| known.of_provider(it)),
        }
    }
}

/// The routes of one port.
pub struct Port {
    /// Port of the service.
    pub number: u16,
    /// Only for clients of this namespace; empty for all.
    pub client_namespace: Arc<str>,
    /// HTTP routes.
    pub http: Table,
    /// What they do.
    pub rules: Vec<Arc<Rule>>,
    /// TLS routes.
    pub tls: Vec<(Vec<Arc<str>>, L4Rule)>,
    /// TCP routes.
    pub tcp: Vec<L4Rule>,
}

/// Where bytes go.
pub struct L4Rule {
    /// The rule of the user's object.
    pub origin: Origin,
    /// Its backends.
    pub backends: Shares,
}

/// What becomes of a request.
pub struct Rule {
    /// The rule of the user's object.
    pub origin: Arc<Origin>,
    /// What is done at the end.
    pub action: Action,
    /// Changes of the request's headers.
    pub request_headers: Changes,
    /// Changes of the response's headers.
    pub response_headers: Changes,
    /// New host, as a header value.
    pub host: Option<http::HeaderValue>,
    /// New path.
    pub path: Option<NewPath>,
    /// Copies sent elsewhere.
    pub mirrors: Vec<(Arc<Destination>, model::Fraction)>,
    /// Cross-origin rules.
    pub cors: Option<cors::Rules>,
    /// Broken on purpose.
    pub fault: Fault,
    /// How long all tries together may take.
    pub timeout: Option<Duration>,
    /// Retries, when not the waypoint's.
    pub retry: Option<Arc<Retry>>,
    /// Keeps a client with its endpoint.
    pub session: Option<SessionPersistence>,
}

/// What is done at the end.
pub enum Action {
    /// It is sent on.
    Forward(Shares),
    /// It is redirected.
    Redirect(redirect::Answer),
    /// It is answered.
    Reply(http::StatusCode, bytes::Bytes),
}

/// Backends and their weights.
#[derive(Default)]
pub struct Shares {
    total: u64,
    backends: Vec<(u64, Share)>,
}

/// One backend.
pub struct Share {
    /// Where to; `None` where the user's reference leads nowhere.
    pub destination: Option<Arc<Destination>>,
    /// Changes of the request's headers.
    pub request_headers: Changes,
    /// Changes of the response's headers.
    pub response_headers: Changes,
}

impl Shares {
    /// Pure. The backend at `random`, which should be uniform; `None` when none has weight.
    pub fn pick(&self, random: u64) -> Option<&Share> {
        if let [(weight, only)] = self.backends.as_slice() {
            return (*weight > 0).then_some(only);
        }
        let wide = u128::from(random) * u128::from(self.total);
        let at = u64::try_from(wide >> 64).unwrap_or_default();
        let after = self.backends.partition_point(|(upto, _)| *upto <= at);
        self.backends.get(after).map(|(_, share)| share)
    }
}

/// Makes routes ready.
///
/// # Errors
/// [`BadRoutes`]; then nothing of them is used.
pub fn service(model: &ServiceRoutes, known: &Destinations) -> Result<Service, BadRoutes> {
    let all: Vec<_> = model.destinations.iter().map(|it| known.find(it)).collect();
    let own = |(port, number): &(u16, u32)| Ok((*port, numbered(&all, "destination", *number)?));
    Ok(Service {
        key: model.key.clone(),
        ports: model
            .ports
            .iter()
            .map(|it| port(it, &all))
            .collect::<Result<_, _>>()?,
        own: model
            .own
            .iter()
            .map(own)
            .collect::<Result<_, BadRoutes>>()?,
        telemetry: model.telemetry.as_ref().map(|it| Observed::new(it, known)),
    })
}

fn numbered<T: Clone>(all: &[T], what: &'static str, number: u32) -> Result<T, BadRoutes> {
    let found = usize::try_from(number).ok().and_then(|it| all.get(it));
    found.cloned().ok_or(BadRoutes::Number { what, number })
}

fn port(model: &PortRoutes, all: &[Arc<Destination>]) -> Result<Port, BadRoutes> {
    let rules: Vec<_> = model
        .rules
        .iter()
        .map(|it| rule(it, all).map(Arc::new))
        .collect::<Result<_, _>>()?;
    for entry in &model.http {
        numbered(&rules, "rule", entry.rule)?;
    }
    let tls =
        |it: &model::TlsRule| Ok((it.server_names.clone(), l4(&it.origin, &it.backends, all)?));
    Ok(Port {
        number: model.port,
        client_namespace: Arc::clone(&model.client_namespace),
        http: Table::new(&model.http)?,
        rules,
        tls: model
            .tls
            .iter()
            .map(tls)
            .collect::<Result<_, BadRoutes>>()?,
        tcp: model
            .tcp
            .iter()
            .map(|it| l4(&it.origin, &it.backends, all))
            .collect::<Result<_, BadRoutes>>()?,
    })
}

fn l4(
    origin: &Origin,
    backends: &[Backend],
    all: &[Arc<Destination>],
) -> Result<L4Rule, BadRoutes> {
    Ok(L4Rule {
        origin: origin.clone(),
        backends: shares(backends, all)?,
    })
}

fn shares(backends: &[Backend], all: &[Arc<Destination>]) -> Result<Shares, BadRoutes> {
    let mut shares = Shares::default();
    for backend in backends.iter().filter(|it| it.weight > 0) {
        let destination = backend.destination;
        let destination = destination
            .map(|it| numbered(all, "destination", it))
            .transpose()?;
        shares.total += u64::from(backend.weight);
        let share = Share {
            destination,
            request_headers: Changes::new(&backend.request_headers)?,
            response_headers: Changes::new(&backend.response_headers)?,
        };
        shares.backends.push((shares.total, share));
    }
    Ok(shares)
}

fn rule(model: &HttpRule, all: &[Arc<Destination>]) -> Result<Rule, BadRoutes> {
    let action = match &model.action {
        HttpAction::Forward(backends) => Action::Forward(shares(backends, all)?),
        HttpAction::Redirect(redirect) => Action::Redirect(redirect::Answer::new(redirect)?),
        HttpAction::Reply { status, body } => Action::Reply(
            http::StatusCode::from_u16(*status).unwrap_or(http::StatusCode::OK),
            bytes::Bytes::copy_from_slice(body.as_bytes()),
        ),
    };
    let host = &model.rewrite.host;
    let host = (!host.is_empty())
        .then(|| http::HeaderValue::from_str(host))
        .transpose()
        .map_err(|_| BadHeader {
            name: "host".into(),
            value: Arc::clone(host),
        })?;
    let mirror = |it: &model::Mirror| Ok((numbered(all, "destination", it.destination)?, it.share));
    Ok(Rule {
        origin: Arc::new(model.origin.clone()),
        action,
        request_headers: Changes::new(&model.request_headers)?,
        response_headers: Changes::new(&model.response_headers)?,
        host,
        path: model.rewrite.path.as_ref().map(NewPath::new).transpose()?,
        mirrors: model
            .mirrors
            .iter()
            .map(mirror)
            .collect::<Result<_, BadRoutes>>()?,
        cors: model.cors.as_ref().map(cors::Rules::new).transpose()?,
        fault: model.fault.clone(),
        timeout: model.timeout,
        retry: model.retry.clone().map(Arc::new),
        session: model.session.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares_of(weights: &[u32]) -> Shares {
        let backends: Vec<_> = weights
            .iter()
            .map(|weight| Backend {
                weight: *weight,
                destination: None,
                request_headers: model::HeaderChanges::default(),
                response_headers: model::HeaderChanges::default(),
            })
            .collect();
        shares(&backends, &[]).unwrap()
    }

    #[test]
    fn weights_are_shares_of_what_is_random() {
        let shares = shares_of(&[90, 0, 10]);
        let mut counts = [0_u32; 2];
        for step in 0..1000_u64 {
            // the middle of each thousandth
            let random = (2 * step + 1) * (u64::MAX / 2000);
            let picked = shares.pick(random).unwrap();
            let mut all = shares.backends.iter();
            counts[all.position(|(_, it)| std::ptr::eq(it, picked)).unwrap()] += 1;
        }
        assert_eq!(counts, [900, 100]);
        assert!(shares_of(&[0, 0]).pick(7).is_none());
        assert!(shares_of(&[]).pick(7).is_none());
        assert!(shares_of(&[1]).pick(u64::MAX).is_some());
        assert!(shares_of(&[1, 1]).pick(u64::MAX).is_some());
    }
}
