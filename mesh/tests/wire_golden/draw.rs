//! Random values of what waypoints are told, within what the wire can say, each drawn from a seed.

mod attached;
mod destination;
mod routes;
mod settings;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh::model::Origin;
use mesh::model::attached::AttachedPolicy;
use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, ServiceRoutes, TextMatch};
use mesh::model::waypoint::Waypoint;
use mesh::names::{NamespacedHostname, NamespacedName};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub(crate) fn service_routes() -> impl Strategy<Value = ServiceRoutes> {
    any::<u64>().prop_map(|seed| Draw::new(seed).service_routes())
}

pub(crate) fn attached_policy() -> impl Strategy<Value = AttachedPolicy> {
    any::<u64>().prop_map(|seed| Draw::new(seed).attached_policy())
}

pub(crate) fn waypoint() -> impl Strategy<Value = Waypoint> {
    any::<u64>().prop_map(|seed| Draw::new(seed).waypoint())
}

type Text = Arc<str>;

/// Where values are drawn from.
struct Draw(StdRng);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn flag(&mut self) -> bool {
        self.0.random()
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0.random_range(0..limit)
    }

    /// Small, large, or any.
    fn number(&mut self) -> u32 {
        match self.below(4) {
            0 => 0,
            1 => u32::MAX,
            2 => self.below(100),
            _ => self.0.random(),
        }
    }

    fn port(&mut self) -> u16 {
        self.0.random()
    }

    fn status(&mut self) -> u16 {
        self.0.random_range(100..=999)
    }

    fn text(&mut self) -> Text {
        let letter = |it: &mut Self| match it.below(8) {
            0 => 'é',
            1 => '/',
            2 => '*',
            3 => '\u{1f}',
            4 => ' ',
            _ => 'a',
        };
        let count = self.below(6);
        (0..count).map(|_| letter(self)).collect::<String>().into()
    }

    fn word(&mut self) -> Text {
        let count = 1 + self.below(5);
        let letter = |it: &mut Self| char::from(b'a' + u8::try_from(it.below(26)).unwrap());
        (0..count).map(|_| letter(self)).collect::<String>().into()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| one(self))
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(3);
        (0..count).map(|_| one(self)).collect()
    }

    fn texts(&mut self) -> Vec<Text> {
        self.list(Self::text)
    }

    fn pair(&mut self) -> (Text, Text) {
        (self.text(), self.text())
    }

    fn duration(&mut self) -> Duration {
        let seconds = match self.below(3) {
            0 => 0,
            1 => u64::from(self.number()),
            _ => i64::MAX as u64,
        };
        Duration::new(seconds, self.below(1_000_000_000))
    }

    fn address(&mut self) -> IpAddr {
        match self.flag() {
            true => IpAddr::from(self.0.random::<[u8; 4]>()),
            false => IpAddr::from(self.0.random::<[u8; 16]>()).to_canonical(),
        }
    }

    fn origin(&mut self) -> Origin {
        Origin {
            kind: self.text(),
            namespace: self.text(),
            name: self.text(),
            rule: self.text(),
        }
    }

    fn service(&mut self) -> NamespacedHostname {
        NamespacedHostname::new(self.word(), self.word())
    }

    fn object(&mut self) -> NamespacedName {
        NamespacedName::new(self.word(), self.word())
    }

    fn text_match(&mut self) -> TextMatch {
        match self.below(4) {
            0 => TextMatch::Exact(self.text()),
            1 => TextMatch::Prefix(self.text()),
            2 => TextMatch::Regex(self.text()),
            _ => TextMatch::Present,
        }
    }

    fn named(&mut self) -> NamedMatch {
        NamedMatch {
            name: self.text(),
            value: self.text_match(),
            negated: self.flag(),
        }
    }

    fn http_match(&mut self) -> HttpMatch {
        HttpMatch {
            path: self.maybe(|it| match it.below(4) {
                0 => PathMatch::Exact(it.text()),
                1 => PathMatch::Elements(it.text()),
                2 => PathMatch::Prefix(it.text()),
                _ => PathMatch::Regex(it.text()),
            }),
            ignore_path_case: self.flag(),
            method: self.maybe(Self::text_match),
            scheme: self.maybe(Self::text_match),
            authority: self.maybe(Self::text_match),
            headers: self.list(Self::named),
            query: self.list(Self::named),
            claims: self.list(Self::named),
        }
    }
}
