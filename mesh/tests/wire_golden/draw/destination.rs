//! Destinations with their traffic policy.

use mesh::model::destination::{
    Balancing, Destination, Distribution, HashKey, HashTable, Limits, LocalityPolicy, Outlier,
    Reach, RetryBudget, Subset, TlsOrigination, TlsRoots, TrafficPolicy, Upgrade, Warmup,
};

use super::Draw;

impl Draw {
    pub(super) fn destination(&mut self) -> Destination {
        Destination {
            service: self.service(),
            port: self.port(),
            subset: self.maybe(|it| Subset {
                name: it.text(),
                labels: it.list(Self::pair),
            }),
            policy: match self.flag() {
                true => self.traffic_policy(),
                false => TrafficPolicy::default(),
            },
            reach: match self.below(3) {
                0 => Reach::Endpoints,
                1 => Reach::AsDialled,
                _ => Reach::AsAsked,
            },
        }
    }

    fn traffic_policy(&mut self) -> TrafficPolicy {
        TrafficPolicy {
            balancing: self.balancing(),
            locality: LocalityPolicy {
                enabled: self.flag(),
                distribute: self.list(|it| Distribution {
                    from: it.text(),
                    to: it.list(|it| (it.text(), it.number())),
                }),
                failover: self.list(Self::pair),
                failover_priority: self.texts(),
            },
            warmup: self.maybe(|it| Warmup {
                duration: it.duration(),
                minimum_percent: it.number(),
                aggression: f64::from(it.below(1000) + 1) / 7.0,
            }),
            limits: match self.flag() {
                true => self.limits(),
                false => Limits::default(),
            },
            outlier: self.maybe(Self::outlier),
            retry_budget: self.maybe(|it| RetryBudget {
                percent_milli: it.number(),
                min_concurrency: it.number(),
            }),
            tls: self.maybe(Self::tls),
            proxy_protocol: self.maybe(|it| if it.flag() { 1 } else { 2 }),
            origin: self.maybe(Self::origin),
        }
    }

    fn balancing(&mut self) -> Balancing {
        match self.below(5) {
            0 => Balancing::LeastRequest,
            1 => Balancing::RoundRobin,
            2 => Balancing::Random,
            _ => Balancing::Hash {
                keys: self.list(Self::hash_key),
                table: match self.flag() {
                    true => HashTable::Ring(self.number()),
                    false => HashTable::Maglev(self.number()),
                },
            },
        }
    }

    fn hash_key(&mut self) -> HashKey {
        match self.below(4) {
            0 => HashKey::Header(self.text()),
            1 => HashKey::SourceIp,
            2 => HashKey::Query(self.text()),
            _ => HashKey::Cookie {
                name: self.text(),
                path: self.text(),
                ttl: self.maybe(Self::duration),
            },
        }
    }

    fn limits(&mut self) -> Limits {
        Limits {
            connections: self.number(),
            pending: self.number(),
            requests: self.number(),
            retries: self.number(),
            requests_per_connection: self.number(),
            streams: self.number(),
            connect_timeout: self.maybe(Self::duration),
            idle_timeout: self.maybe(Self::duration),
            tcp_idle_timeout: self.maybe(Self::duration),
            upgrade: match self.below(3) {
                0 => Upgrade::AsDeclared,
                1 => Upgrade::ToHttp2,
                _ => Upgrade::AsClient,
            },
        }
    }

    fn outlier(&mut self) -> Outlier {
        Outlier {
            consecutive_5xx: self.number(),
            consecutive_gateway: self.number(),
            split_local: self.flag(),
            consecutive_local: self.number(),
            interval: self.duration(),
            base_ejection: self.duration(),
            max_ejection_percent: self.number(),
            min_health_percent: self.number(),
        }
    }

    fn tls(&mut self) -> TlsOrigination {
        TlsOrigination {
            sni: self.text(),
            subject_alt_names: self.texts(),
            roots: match self.below(4) {
                0 => TlsRoots::System,
                1 => TlsRoots::File(self.text()),
                2 => TlsRoots::Pem(self.text()),
                _ => TlsRoots::Missing,
            },
            client: self.maybe(Self::pair),
            insecure_skip_verify: self.flag(),
        }
    }
}
