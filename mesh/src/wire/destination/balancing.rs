//! How an endpoint is chosen, both ways.

use proto::waypoint as pb;

use crate::model::destination::{
    Balancing, Distribution, HashKey, HashTable, LocalityPolicy, Warmup,
};
use crate::wire::field::{
    Subject, all, duration_message, pairs, pairs_message, texts, texts_message,
};
use crate::wire::{Error, Problem};

pub(super) fn balancing(subject: Subject<'_>, message: pb::Balancing) -> Result<Balancing, Error> {
    let table = subject.known("balancing.table", message.table)?;
    Ok(match subject.known("balancing.mode", message.mode)? {
        pb::BalancingMode::LeastRequest => Balancing::LeastRequest,
        pb::BalancingMode::RoundRobin => Balancing::RoundRobin,
        pb::BalancingMode::Random => Balancing::Random,
        pb::BalancingMode::Hash => Balancing::Hash {
            keys: all(message.keys, |it| key(subject, it))?,
            table: match table {
                pb::HashTable::Ring => HashTable::Ring(message.table_size),
                pb::HashTable::Maglev => HashTable::Maglev(message.table_size),
            },
        },
    })
}

pub(super) fn balancing_message(balancing: &Balancing) -> pb::Balancing {
    let plain = |mode: pb::BalancingMode| pb::Balancing {
        mode: mode.into(),
        ..pb::Balancing::default()
    };
    match balancing {
        Balancing::LeastRequest => plain(pb::BalancingMode::LeastRequest),
        Balancing::RoundRobin => plain(pb::BalancingMode::RoundRobin),
        Balancing::Random => plain(pb::BalancingMode::Random),
        Balancing::Hash { keys, table } => {
            let (table, size) = match table {
                HashTable::Ring(size) => (pb::HashTable::Ring, size),
                HashTable::Maglev(size) => (pb::HashTable::Maglev, size),
            };
            pb::Balancing {
                mode: pb::BalancingMode::Hash.into(),
                keys: keys.iter().map(key_message).collect(),
                table: table.into(),
                table_size: *size,
            }
        }
    }
}

fn key(subject: Subject<'_>, message: pb::HashKey) -> Result<HashKey, Error> {
    use pb::hash_key::Kind;
    Ok(match subject.required("balancing.keys", message.kind)? {
        Kind::Header(name) => HashKey::Header(name.into()),
        Kind::Cookie(cookie) => HashKey::Cookie {
            name: cookie.name.into(),
            path: cookie.path.into(),
            ttl: subject.duration("balancing.keys.cookie.ttl", cookie.ttl)?,
        },
        Kind::SourceIp(pb::SourceIp {}) => HashKey::SourceIp,
        Kind::Query(name) => HashKey::Query(name.into()),
    })
}

fn key_message(key: &HashKey) -> pb::HashKey {
    use pb::hash_key::Kind;
    let kind = match key {
        HashKey::Header(name) => Kind::Header(name.to_string()),
        HashKey::Cookie { name, path, ttl } => Kind::Cookie(pb::HashCookie {
            name: name.to_string(),
            path: path.to_string(),
            ttl: ttl.map(duration_message),
        }),
        HashKey::SourceIp => Kind::SourceIp(pb::SourceIp {}),
        HashKey::Query(name) => Kind::Query(name.to_string()),
    };
    pb::HashKey { kind: Some(kind) }
}

pub(super) fn locality(message: pb::LocalityPolicy) -> LocalityPolicy {
    let distribution = |it: pb::Distribution| Distribution {
        from: it.from.into(),
        to: it
            .to
            .into_iter()
            .map(|share| (share.place.into(), share.percent))
            .collect(),
    };
    LocalityPolicy {
        enabled: message.enabled,
        distribute: message.distribute.into_iter().map(distribution).collect(),
        failover: pairs(message.failover),
        failover_priority: texts(message.failover_priority),
    }
}

pub(super) fn locality_message(policy: &LocalityPolicy) -> pb::LocalityPolicy {
    let LocalityPolicy {
        enabled,
        distribute,
        failover,
        failover_priority,
    } = policy;
    let distribution = |it: &Distribution| pb::Distribution {
        from: it.from.to_string(),
        to: it
            .to
            .iter()
            .map(|(place, percent)| pb::DistributionShare {
                place: place.to_string(),
                percent: *percent,
            })
            .collect(),
    };
    pb::LocalityPolicy {
        enabled: *enabled,
        distribute: distribute.iter().map(distribution).collect(),
        failover: pairs_message(failover),
        failover_priority: texts_message(failover_priority),
    }
}

pub(super) fn warmup(subject: Subject<'_>, message: pb::Warmup) -> Result<Warmup, Error> {
    let aggression = message.aggression;
    if !aggression.is_finite() || aggression <= 0.0 {
        return Err(subject.error("warmup.aggression", Problem::Number(aggression)));
    }
    Ok(Warmup {
        duration: subject.needed_duration("warmup.duration", message.duration)?,
        minimum_percent: message.minimum_percent,
        aggression,
    })
}

pub(super) fn warmup_message(warmup: Warmup) -> pb::Warmup {
    pb::Warmup {
        duration: Some(duration_message(warmup.duration)),
        minimum_percent: warmup.minimum_percent,
        aggression: warmup.aggression,
    }
}
