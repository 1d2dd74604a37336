//! Destinations of routes, both ways.

mod balancing;
mod tls;

use proto::waypoint as pb;

use super::field::{
    Subject, duration_message, origin_message, origin_of, pairs, pairs_message, some_unless_default,
};
use super::{Error, Problem};
use crate::model::destination::{
    Destination, Limits, Outlier, Reach, RetryBudget, Subset, TrafficPolicy, Upgrade,
};

pub(super) fn destination(
    subject: Subject<'_>,
    message: pb::Destination,
) -> Result<Destination, Error> {
    let field = "destinations.hostname";
    let subset = message.subset.map(|it| Subset {
        name: it.name.into(),
        labels: pairs(it.labels),
    });
    Ok(Destination {
        service: subject.service(field, &message.namespace, &message.hostname)?,
        port: subject.port("destinations.port", message.port)?,
        subset,
        policy: policy(subject, message.policy.unwrap_or_default())?,
        reach: match subject.known("destinations.reach", message.reach)? {
            pb::Reach::Endpoints => Reach::Endpoints,
            pb::Reach::AsDialled => Reach::AsDialled,
            pb::Reach::AsAsked => Reach::AsAsked,
        },
    })
}

pub(super) fn destination_message(destination: &Destination) -> pb::Destination {
    let Destination {
        service,
        port,
        subset,
        policy,
        reach,
    } = destination;
    let reach = match reach {
        Reach::Endpoints => pb::Reach::Endpoints,
        Reach::AsDialled => pb::Reach::AsDialled,
        Reach::AsAsked => pb::Reach::AsAsked,
    };
    pb::Destination {
        namespace: service.namespace.to_string(),
        hostname: service.hostname.to_string(),
        port: (*port).into(),
        subset: subset.as_ref().map(|it| pb::Subset {
            name: it.name.to_string(),
            labels: pairs_message(&it.labels),
        }),
        policy: some_unless_default(policy_message(policy)),
        reach: reach.into(),
    }
}

fn policy(subject: Subject<'_>, message: pb::TrafficPolicy) -> Result<TrafficPolicy, Error> {
    let proxy_protocol = match message.proxy_protocol {
        0 => None,
        1 => Some(1),
        2 => Some(2),
        other => {
            let field = "destinations.proxy_protocol";
            return Err(subject.error(field, Problem::Number(other.into())));
        }
    };
    let warmup = message.warmup.map(|it| balancing::warmup(subject, it));
    let outlier = message.outlier.map(|it| outlier(subject, it));
    let tls = message.tls.map(|it| tls::origination(subject, it));
    Ok(TrafficPolicy {
        balancing: balancing::balancing(subject, message.balancing.unwrap_or_default())?,
        locality: balancing::locality(message.locality.unwrap_or_default()),
        warmup: warmup.transpose()?,
        limits: limits(subject, message.limits)?,
        outlier: outlier.transpose()?,
        retry_budget: message.retry_budget.map(|it| RetryBudget {
            percent_milli: it.percent_milli,
            min_concurrency: it.min_concurrency,
        }),
        tls: tls.transpose()?,
        proxy_protocol,
        origin: message.origin.map(origin_of),
    })
}

fn policy_message(policy: &TrafficPolicy) -> pb::TrafficPolicy {
    let TrafficPolicy {
        balancing,
        locality,
        warmup,
        limits,
        outlier,
        retry_budget,
        tls,
        proxy_protocol,
        origin,
    } = policy;
    let limits = Some(limits).filter(|it| **it != Limits::default());
    pb::TrafficPolicy {
        balancing: some_unless_default(balancing::balancing_message(balancing)),
        locality: some_unless_default(balancing::locality_message(locality)),
        warmup: warmup.map(balancing::warmup_message),
        limits: limits.map(limits_message),
        outlier: outlier.map(outlier_message),
        retry_budget: retry_budget.map(|it| pb::RetryBudget {
            percent_milli: it.percent_milli,
            min_concurrency: it.min_concurrency,
        }),
        tls: tls.as_ref().map(tls::origination_message),
        proxy_protocol: proxy_protocol.unwrap_or_default().into(),
        origin: origin.as_ref().map(origin_message),
    }
}

/// No limits at all are the default ones, with their idle times.
fn limits(subject: Subject<'_>, message: Option<pb::Limits>) -> Result<Limits, Error> {
    let Some(message) = message else {
        return Ok(Limits::default());
    };
    let most = |number: Option<u32>| number.unwrap_or(u32::MAX);
    let tcp_idle = message.tcp_idle_timeout;
    Ok(Limits {
        connections: most(message.connections),
        pending: most(message.pending),
        requests: most(message.requests),
        retries: most(message.retries),
        requests_per_connection: message.requests_per_connection,
        streams: most(message.streams),
        connect_timeout: subject.duration("limits.connect_timeout", message.connect_timeout)?,
        idle_timeout: subject.duration("limits.idle_timeout", message.idle_timeout)?,
        tcp_idle_timeout: subject.duration("limits.tcp_idle_timeout", tcp_idle)?,
        upgrade: match subject.known("limits.upgrade", message.upgrade)? {
            pb::Upgrade::AsDeclared => Upgrade::AsDeclared,
            pb::Upgrade::ToHttp2 => Upgrade::ToHttp2,
            pb::Upgrade::AsClient => Upgrade::AsClient,
        },
    })
}

fn limits_message(limits: &Limits) -> pb::Limits {
    let Limits {
        connections,
        pending,
        requests,
        retries,
        requests_per_connection,
        streams,
        connect_timeout,
        idle_timeout,
        tcp_idle_timeout,
        upgrade,
    } = limits;
    let most = |number: &u32| Some(*number).filter(|it| *it != u32::MAX);
    let upgrade = match upgrade {
        Upgrade::AsDeclared => pb::Upgrade::AsDeclared,
        Upgrade::ToHttp2 => pb::Upgrade::ToHttp2,
        Upgrade::AsClient => pb::Upgrade::AsClient,
    };
    pb::Limits {
        connections: most(connections),
        pending: most(pending),
        requests: most(requests),
        retries: most(retries),
        requests_per_connection: *requests_per_connection,
        streams: most(streams),
        connect_timeout: connect_timeout.map(duration_message),
        idle_timeout: idle_timeout.map(duration_message),
        tcp_idle_timeout: tcp_idle_timeout.map(duration_message),
        upgrade: upgrade.into(),
    }
}

fn outlier(subject: Subject<'_>, message: pb::Outlier) -> Result<Outlier, Error> {
    Ok(Outlier {
        consecutive_5xx: message.consecutive_5xx,
        consecutive_gateway: message.consecutive_gateway,
        split_local: message.split_local,
        consecutive_local: message.consecutive_local,
        interval: subject.needed_duration("outlier.interval", message.interval)?,
        base_ejection: subject.needed_duration("outlier.base_ejection", message.base_ejection)?,
        max_ejection_percent: message.max_ejection_percent,
        min_health_percent: message.min_health_percent,
    })
}

fn outlier_message(outlier: Outlier) -> pb::Outlier {
    let Outlier {
        consecutive_5xx,
        consecutive_gateway,
        split_local,
        consecutive_local,
        interval,
        base_ejection,
        max_ejection_percent,
        min_health_percent,
    } = outlier;
    pb::Outlier {
        consecutive_5xx,
        consecutive_gateway,
        split_local,
        consecutive_local,
        interval: Some(duration_message(interval)),
        base_ejection: Some(duration_message(base_ejection)),
        max_ejection_percent,
        min_health_percent,
    }
}
