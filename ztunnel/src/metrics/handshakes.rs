//! `weft_ztunnel_handshakes_*` and tunnels that are open: what stands under connections.

use std::time::Instant;

use mesh::flow::{Direction, Reason};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Word;

/// Seconds; a handshake is two round trips and some milliseconds of arithmetic.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// TLS handshakes and the tunnels they lead to.
#[derive(Clone, Debug)]
pub struct Handshakes {
    ended: Family<ResultLabels, Counter>,
    duration: Family<DoorLabels, Histogram>,
    tunnels: Family<DoorLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    direction: Word,
    result: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    direction: Word,
}

/// A tunnel that is open; counted while this is alive.
#[derive(Debug)]
pub struct Tunnel(Gauge);

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Handshakes {
    /// Makes them and lists them in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self {
            ended: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            tunnels: Family::default(),
        };
        registry.register(
            "weft_ztunnel_handshakes",
            "TLS handshakes that ended, by door and result: ok, or the reason",
            all.ended.clone(),
        );
        registry.register(
            "weft_ztunnel_handshake_duration_seconds",
            "Time of TLS handshakes that succeeded",
            all.duration.clone(),
        );
        registry.register(
            "weft_ztunnel_tunnels_open",
            "Open tunnels: TLS connections between proxies",
            all.tunnels.clone(),
        );
        all
    }

    /// A handshake that began at `begun` succeeded; its tunnel is open as long as the answer lives.
    pub fn succeeded(&self, direction: Direction, begun: Instant) -> Tunnel {
        let door = DoorLabels {
            direction: Word(direction.word()),
        };
        self.count(direction, "ok");
        self.duration
            .get_or_create(&door)
            .observe(begun.elapsed().as_secs_f64());
        let tunnels = self.tunnels.get_or_create_owned(&door);
        tunnels.inc();
        Tunnel(tunnels)
    }

    /// A handshake failed.
    pub fn failed(&self, direction: Direction, reason: Reason) {
        self.count(direction, reason.word());
    }

    fn count(&self, direction: Direction, result: &'static str) {
        let labels = ResultLabels {
            direction: Word(direction.word()),
            result: Word(result),
        };
        self.ended.get_or_create(&labels).inc();
    }
}
