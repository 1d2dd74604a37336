//! Destinations in simulated time.

use std::time::Duration;

use mesh::model::Locality;
use mesh::model::destination::{Balancing, Outlier};
use mesh::names::WorkloadUid;

use super::*;

mod choosing;
mod ejecting;
mod events;

fn id(name: &str) -> EndpointId {
    EndpointId::new(WorkloadUid(name.into()), 80)
}

fn endpoint(name: &str, weight: u32) -> EndpointSpec {
    EndpointSpec {
        id: id(name),
        weight,
        locality: Locality::default(),
        labels: Arc::new([]),
        is_healthy: true,
    }
}

fn at(name: &str, region: &str, zone: &str) -> EndpointSpec {
    let locality = Locality {
        region: region.into(),
        zone: zone.into(),
        subzone: "".into(),
    };
    EndpointSpec {
        locality,
        ..endpoint(name, 1)
    }
}

/// `e0`, `e1` and so on.
fn endpoints(weights: &[u32]) -> Vec<EndpointSpec> {
    let named = weights.iter().enumerate();
    named
        .map(|(n, weight)| endpoint(&format!("e{n}"), *weight))
        .collect()
}

fn outlier(max_ejection_percent: u32) -> Outlier {
    Outlier {
        consecutive_5xx: 5,
        consecutive_gateway: 0,
        split_local: false,
        consecutive_local: 5,
        interval: Duration::from_secs(10),
        base_ejection: Duration::from_secs(30),
        max_ejection_percent,
        min_health_percent: 0,
    }
}

/// Uniform numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        twox_hash::XxHash64::oneshot(5, &self.0.to_le_bytes())
    }
}

/// A destination, the time and chance.
struct World {
    cluster: Arc<Cluster>,
    now: Instant,
    numbers: Numbers,
}

impl World {
    fn new(policy: TrafficPolicy, endpoints: Vec<EndpointSpec>) -> Self {
        let place = Place {
            locality: at("", "r", "z").locality,
            ..Place::default()
        };
        let now = Instant::now();
        let cluster = Cluster::new(policy, place.into(), now);
        cluster.set_endpoints(endpoints, now);
        Self {
            cluster,
            now,
            numbers: Numbers(1),
        }
    }

    fn with(balancing: Balancing, endpoints: Vec<EndpointSpec>) -> Self {
        let policy = TrafficPolicy {
            balancing,
            ..TrafficPolicy::default()
        };
        Self::new(policy, endpoints)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn ask(
        &mut self,
        hash: Option<u64>,
        tried: &[EndpointId],
        session: Option<u64>,
    ) -> Result<Picked, NoEndpoint> {
        let mut random = || self.numbers.next();
        let mut question = Question::new(self.now, &mut random);
        question.hash = hash;
        question.tried = tried;
        question.session = session;
        self.cluster.pick(question)
    }

    fn pick(&mut self) -> Picked {
        self.ask(None, &[], None).unwrap()
    }

    fn set(&self, endpoints: Vec<EndpointSpec>) {
        self.cluster.set_endpoints(endpoints, self.now);
    }

    /// How often each of `names` is chosen in so many requests, one after the other.
    fn shares(&mut self, names: &[&str], requests: u32) -> Vec<u32> {
        let mut counts = vec![0; names.len()];
        for _ in 0..requests {
            let picked = self.pick();
            let at = names.iter().position(|name| *picked == id(name));
            counts[at.expect("a known endpoint")] += 1;
        }
        counts
    }

    /// Lets requests to one endpoint fail until its ejection should follow.
    fn fail(&mut self, name: &str, failures: u32) {
        for _ in 0..failures {
            let picked = self.ask(None, &[], Some(id(name).key())).unwrap();
            assert_eq!(*picked, id(name));
            picked.report(Outcome::Status(500), self.now);
        }
    }
}
