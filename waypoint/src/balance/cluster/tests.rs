//! Destinations in simulated time.

use mesh::model::Locality;
use mesh::model::destination::Balancing;
use mesh::names::WorkloadUid;

use super::*;

mod choosing;

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

fn endpoints(weights: &[u32]) -> Vec<EndpointSpec> {
    let named = weights.iter().enumerate();
    named
        .map(|(n, weight)| endpoint(&format!("e{n}"), *weight))
        .collect()
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
        let now = Instant::now();
        let cluster = Cluster::new(policy, Arc::default(), now);
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

    fn ask(
        &mut self,
        change: impl for<'q> FnOnce(&mut Question<'q>),
    ) -> Result<Picked, NoEndpoint> {
        let mut random = || self.numbers.next();
        let mut question = Question::new(self.now, &mut random);
        change(&mut question);
        self.cluster.pick(question)
    }

    fn pick(&mut self) -> Picked {
        self.ask(|_| ()).unwrap()
    }

    fn set(&self, endpoints: Vec<EndpointSpec>) {
        self.cluster.set_endpoints(endpoints, self.now);
    }
}
