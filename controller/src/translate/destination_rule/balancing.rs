//! Pure. How an endpoint is chosen, and how new ones are warmed up.

use mesh::model::destination::{Balancing, HashKey, HashTable, Warmup};
use objects::istio::destination_rule::LoadBalancer;
use objects::istio::destination_rule::balancing::{self as written, ConsistentHash, Simple};
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

/// Points on a ring, unless said otherwise.
const RING: u64 = 1024;
/// Largest ring.
const MAX_RING: u64 = 8 << 20;
/// Size of a table, unless said otherwise.
const TABLE: u64 = 65_537;
/// Largest table.
const MAX_TABLE: u64 = 5_000_011;

pub(super) fn read(
    balancer: Option<&LoadBalancer>,
    path: &Path,
    remarks: &mut Remarks,
) -> (Balancing, Option<Warmup>) {
    let Some(balancer) = balancer else {
        return (Balancing::default(), None);
    };
    if balancer.simple.is_some() && balancer.consistent_hash.is_some() {
        remarks.invalid(
            path.clone(),
            "either `simple` or `consistentHash`, not both",
        );
    }
    let balancing = match (&balancer.consistent_hash, balancer.simple) {
        (Some(hash), _) => by_hash(hash, &path.clone().key("consistentHash"), remarks),
        (None, Some(simple)) => by_rule(simple, &path.clone().key("simple"), remarks),
        (None, None) => Balancing::default(),
    };
    let warmup = warmup(balancer, path, remarks);
    let can_warm = matches!(balancing, Balancing::LeastRequest | Balancing::RoundRobin);
    if warmup.is_some() && !can_warm {
        let reason = "endpoints are warmed up with ROUND_ROBIN and LEAST_REQUEST only";
        remarks.add(Rule::WithoutEffect, path.clone().key("warmup"), reason);
    }
    (balancing, warmup.filter(|_| can_warm))
}

fn by_rule(simple: Simple, path: &Path, remarks: &mut Remarks) -> Balancing {
    match simple {
        Simple::Unspecified | Simple::LeastConn | Simple::LeastRequest => Balancing::LeastRequest,
        Simple::RoundRobin => Balancing::RoundRobin,
        Simple::Random => Balancing::Random,
        Simple::Passthrough => {
            let reason = "a waypoint chooses an endpoint itself: LEAST_REQUEST is used";
            remarks.add(Rule::NotAtWaypoint, path.clone(), reason);
            Balancing::LeastRequest
        }
    }
}

fn by_hash(hash: &ConsistentHash, path: &Path, remarks: &mut Remarks) -> Balancing {
    let header = hash.http_header_name.as_ref();
    let cookie = hash.http_cookie.as_ref();
    let query = hash.http_query_parameter_name.as_ref();
    let address = hash.use_source_ip.filter(|it| *it);
    let all = [
        header.map(|it| HashKey::Header(it.to_ascii_lowercase().into())),
        cookie.map(|it| HashKey::Cookie {
            name: it.name.as_str().into(),
            path: it.path.as_str().into(),
            ttl: it.ttl.map(|it| it.0),
        }),
        address.map(|_| HashKey::SourceIp),
        query.map(|it| HashKey::Query(it.as_str().into())),
    ];
    let keys: Vec<HashKey> = all.into_iter().flatten().collect();
    if keys.len() != 1 {
        let reason = "exactly one of httpHeaderName, httpCookie, useSourceIp: true and \
                      httpQueryParameterName";
        remarks.invalid(path.clone(), reason);
    }
    let is_nameless = match keys.first() {
        Some(HashKey::Header(name) | HashKey::Query(name) | HashKey::Cookie { name, .. }) => {
            name.is_empty()
        }
        _ => false,
    };
    if is_nameless {
        remarks.invalid(path.clone(), "what is hashed has a name");
    }
    Balancing::Hash {
        keys,
        table: table(hash, path, remarks),
    }
}

fn table(hash: &ConsistentHash, path: &Path, remarks: &mut Remarks) -> HashTable {
    if let Some(maglev) = hash.maglev {
        if hash.ring_hash.is_some() {
            remarks.invalid(path.clone(), "either `ringHash` or `maglev`, not both");
        }
        let size = maglev.table_size.filter(|it| *it != 0).unwrap_or(TABLE);
        if size >= MAX_TABLE || !is_prime(size) {
            let path = path.clone().key("maglev").key("tableSize");
            remarks.invalid(path, format!("a prime number below {MAX_TABLE}"));
        }
        return HashTable::Maglev(u32::try_from(size).unwrap_or(u32::MAX));
    }
    let ring = hash.ring_hash.map(|it| it.minimum_ring_size);
    let ring = ring.unwrap_or(hash.minimum_ring_size);
    let ring = ring.filter(|it| *it != 0).unwrap_or(RING);
    if ring > MAX_RING {
        let path = path.clone().key("ringHash").key("minimumRingSize");
        remarks.invalid(path, format!("at most {MAX_RING}"));
    }
    HashTable::Ring(u32::try_from(ring).unwrap_or(u32::MAX))
}

fn is_prime(number: u64) -> bool {
    let mut divisors = (2..).take_while(|it| it * it <= number);
    number >= 2 && !divisors.any(|it| number.is_multiple_of(it))
}

fn warmup(balancer: &LoadBalancer, path: &Path, remarks: &mut Remarks) -> Option<Warmup> {
    let older = balancer
        .warmup_duration_secs
        .map(|duration| written::Warmup {
            duration: Some(duration),
            ..written::Warmup::default()
        });
    let warmup = balancer.warmup.or(older)?;
    let path = path.clone().key("warmup");
    let Some(duration) = warmup.duration.map(|it| it.0) else {
        remarks.invalid(path.key("duration"), "how long endpoints are warmed up");
        return None;
    };
    let minimum = warmup.minimum_percent.unwrap_or(10.0);
    if !(0.0..=100.0).contains(&minimum) {
        let path = path.clone().key("minimumPercent");
        remarks.invalid(path, "a percentage from 0 to 100");
    }
    let aggression = warmup.aggression.unwrap_or(1.0);
    if !aggression.is_finite() || aggression < 1.0 {
        let path = path.clone().key("aggression");
        remarks.invalid(path, "a number from 1 on");
    }
    Some(Warmup {
        duration,
        minimum_percent: whole(minimum),
        aggression,
    })
}

/// A percentage in whole percent; fractions of one do not count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "kept within 0 to 100 just before"
)]
fn whole(percent: f64) -> u32 {
    percent.clamp(0.0, 100.0) as u32
}
