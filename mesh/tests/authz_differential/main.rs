//! The policy engine and the store that says what applies, against a naive evaluator written from the
//! contract's tables alone: over a million random connections and as many random policies, no difference.
//!
//! Seeds are fixed, so a failure repeats; what was compared is counted by kind, and every kind has a least count.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, and shows what it has covered"
)]

mod arbitrary;
mod naive;
mod tally;

use mesh::authz::{self, Facts, Verdict};
use mesh::identity::TrustDomain;
use mesh::model::{Health, Locality, NetworkMode, TunnelKind, Workload, WorkloadKind};
use mesh::names::{NamespacedName, WorkloadUid};
use mesh::state::{Removal, Settings, Store};
use mesh::wire::Update;

use arbitrary::{Connection, Dice, World};
use naive::{Arrival, Ending};
use tally::{Tally, assert_covers, count_outcome, count_world, look_closely};

const THREADS: u64 = 2;
const WORLDS_PER_THREAD: usize = 130_000;
/// One world in so many is looked at closely: which field decided each match.
const CLOSELY: usize = 64;

#[test]
fn the_engine_and_the_tables_agree_on_a_million_connections() {
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| std::thread::spawn(move || compare(seed)))
        .collect();
    let mut tally = Tally::new();
    for thread in threads {
        for (what, times) in thread.join().unwrap() {
            *tally.entry(what).or_default() += times;
        }
    }
    for (what, times) in &tally {
        println!("{times:>9} {what}");
    }
    assert_covers(&tally);
}

/// One thread's share.
fn compare(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let mut tally = Tally::new();
    let (mut store, reader) = Store::new(Settings::default());
    let mut before: Vec<NamespacedName> = Vec::new();
    for number in 0..WORLDS_PER_THREAD {
        let world = arbitrary::world(&mut dice);
        // What stays under its name is changed, the rest is taken away.
        let gone = before
            .drain(..)
            .filter(|key| world.policies.iter().all(|it| it.key != *key));
        let gone: Vec<_> = gone
            .map(|key| Removal::Policy(key.to_string().into()))
            .collect();
        let policies = world
            .policies
            .iter()
            .map(|it| Update::Policy(Box::new(it.clone())));
        let workload = Update::Workload(Box::new(workload(&world)));
        store.apply(policies.chain([workload]), gone);
        before.extend(world.policies.iter().map(|it| it.key.clone()));

        let applicable = naive::applicable(&world.policies, world.namespace, &world.listed);
        count_world(&mut tally, &world);
        let snapshot = reader.load();
        let pod = snapshot.workload_by_uid(UID).found().unwrap();
        let set = snapshot.policies_for(pod.id()).unwrap();
        let absent = |key: &&NamespacedName| world.policies.iter().all(|it| it.key != **key);
        let missing: Vec<_> = world.listed.iter().filter(absent).collect();
        assert_eq!(set.missing().collect::<Vec<_>>(), missing, "{world:?}");
        assert_eq!(
            set.found().count(),
            applicable.len(),
            "each once: {world:?}"
        );
        for connection in &world.connections {
            let arrival = arrival(connection);
            let expected = naive::evaluate(&applicable, &arrival);
            count_outcome(&mut tally, connection, &expected);
            let facts = facts(connection);
            let verdict = authz::decide(&facts, set.found());
            assert!(
                is_as_expected(&verdict, &expected.ending, &world, &arrival),
                "{verdict:?}, the tables say {expected:?}\nconnection {connection:?}\n{world:#?}"
            );
            let mut reported: [Vec<NamespacedName>; 2] = Default::default();
            for report in authz::dry_runs(&facts, set.found()) {
                if report.rule.is_some() {
                    reported[report.policy.action as usize].push(report.policy.key.clone());
                }
            }
            reported.iter_mut().for_each(|it| it.sort());
            let mut wanted = [expected.dry_run_allows, expected.dry_run_denies];
            wanted.iter_mut().for_each(|it| it.sort());
            assert_eq!(reported, wanted, "dry runs: {connection:?}\n{world:#?}");
        }
        if number % CLOSELY == 0 {
            look_closely(&mut tally, &world);
        }
    }
    tally
}

const UID: &str = "Kubernetes//Pod/a/destination";

fn workload(world: &World) -> Workload {
    Workload {
        uid: WorkloadUid(UID.into()),
        name: "destination".into(),
        namespace: world.namespace.into(),
        addresses: vec![],
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: "default".into(),
        node: "".into(),
        canonical_name: "".into(),
        canonical_revision: "".into(),
        workload_kind: WorkloadKind::Pod,
        workload_name: "".into(),
        cluster: "".into(),
        health: Health::Healthy,
        services: vec![],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: world.listed.clone(),
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}

fn arrival(it: &Connection) -> Arrival<'_> {
    Arrival {
        identity: it.identity.as_ref(),
        source_ip: it.source_ip,
        destination_ip: it.destination_ip,
        destination_port: it.destination_port,
    }
}

fn facts(it: &Connection) -> Facts<'_> {
    Facts {
        source_identity: it.identity.as_ref(),
        source_ip: it.source_ip,
        destination_ip: it.destination_ip,
        destination_port: it.destination_port,
        request: None,
    }
}

/// Same ending, and whom it names is one of those that may be named, by a rule that really matches.
fn is_as_expected(
    verdict: &Verdict,
    ending: &Ending,
    world: &World,
    arrival: &Arrival<'_>,
) -> bool {
    match (verdict, ending) {
        (Verdict::Allowed(None), Ending::NoAllowPolicies) => true,
        (Verdict::Allowed(Some(by)), Ending::AllowedBy(may)) => may.contains(by),
        (Verdict::Denied(denial), Ending::ExplicitlyDenied(may)) => {
            let (Some(by), Some(rule)) = (&denial.policy, denial.rule) else {
                return false;
            };
            let policy = world.policies.iter().find(|it| it.key == *by).unwrap();
            may.contains(by)
                && naive::rule_matches(&policy.rules[rule], arrival)
                && denial.to_string() == format!("explicitly denied by: {by}")
        }
        (Verdict::Denied(denial), Ending::NoneAllowed) => {
            denial.policy.is_none()
                && denial.to_string() == "allow policies exist, but none allowed"
        }
        _ => false,
    }
}
