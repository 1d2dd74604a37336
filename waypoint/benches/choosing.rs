//! How long choosing an endpoint takes, by way of choosing and number of endpoints.

#![expect(
    clippy::print_stdout,
    reason = "a table of figures is what this is for"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh::model::Locality;
use mesh::model::destination::{Balancing, HashTable, Outlier, TrafficPolicy};
use mesh::names::WorkloadUid;
use waypoint::balance::{Cluster, EndpointId, EndpointSpec, Outcome, Question};

const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];
const ROUNDS: u32 = 5;
const CHOICES: u32 = 200_000;

fn main() {
    let hash = |table| Balancing::Hash {
        keys: Vec::new(),
        table,
    };
    let ways = [
        ("least request", Balancing::LeastRequest, false),
        ("least request, weights", Balancing::LeastRequest, true),
        ("round robin", Balancing::RoundRobin, false),
        ("round robin, weights", Balancing::RoundRobin, true),
        ("random", Balancing::Random, false),
        ("random, weights", Balancing::Random, true),
        ("ring", hash(HashTable::Ring(1024)), false),
        ("maglev", hash(HashTable::Maglev(65_537)), false),
    ];
    println!("nanoseconds per choice, report and end of request; best of {ROUNDS}");
    print!("{:<24}", "endpoints");
    SIZES.iter().for_each(|size| print!("{size:>10}"));
    println!();
    for (name, balancing, is_weighted) in ways {
        print!("{name:<24}");
        for size in SIZES {
            let cluster = cluster(balancing.clone(), size, is_weighted);
            let best = (0..ROUNDS).map(|_| measure(&cluster)).min();
            let each = best.unwrap_or_default().as_nanos() / u128::from(CHOICES);
            print!("{each:>10}");
        }
        println!();
    }
}

fn cluster(balancing: Balancing, size: u32, is_weighted: bool) -> Arc<Cluster> {
    let policy = TrafficPolicy {
        balancing,
        outlier: Some(Outlier {
            consecutive_5xx: 5,
            consecutive_gateway: 0,
            split_local: false,
            consecutive_local: 5,
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(30),
            max_ejection_percent: 10,
            min_health_percent: 0,
        }),
        ..TrafficPolicy::default()
    };
    let endpoint = |n: u32| EndpointSpec {
        id: EndpointId::new(
            WorkloadUid(format!("Kubernetes//Pod/default/e{n}").into()),
            80,
        ),
        weight: if is_weighted { 1 + n % 7 } else { 1 },
        locality: Locality::default(),
        labels: Arc::new([]),
        is_healthy: true,
    };
    let now = Instant::now();
    let cluster = Cluster::new(policy, Arc::default(), now);
    cluster.set_endpoints((0..size).map(endpoint).collect(), now);
    cluster
}

fn measure(cluster: &Arc<Cluster>) -> Duration {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let started = Instant::now();
    for _ in 0..CHOICES {
        let hash = random();
        let mut question = Question::new(started, &mut random);
        question.hash = Some(hash);
        if let Ok(picked) = black_box(cluster.pick(question)) {
            picked.report(Outcome::Status(200), started);
        }
    }
    started.elapsed()
}
