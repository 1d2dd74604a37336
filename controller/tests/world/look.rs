//! What an index made of a YAML text: records, findings, statuses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by failing"
)]

use controller::problems::Found;
use controller::translate::rule::Rule;
use mesh::model::{Service, Workload};
use mesh::wire::{Update, address};

use crate::yaml::{World, changes};

/// A world with the objects of a text.
pub(crate) fn world(text: &str) -> World {
    let mut world = World::new();
    world.apply(changes(text));
    world
}

fn record(world: &World, name: &str) -> Update {
    let there: Vec<&String> = world.resources.keys().collect();
    let bytes = world.resources.get(name);
    let bytes = bytes.unwrap_or_else(|| panic!("no {name} among {there:?}"));
    address::decode(bytes).unwrap()
}

/// The workload of a uid.
pub(crate) fn workload(world: &World, uid: &str) -> Workload {
    match record(world, uid) {
        Update::Workload(workload) => *workload,
        other => panic!("{other:?}"),
    }
}

/// The service of a name.
pub(crate) fn service(world: &World, name: &str) -> Service {
    match record(world, name) {
        Update::Service(service) => *service,
        other => panic!("{other:?}"),
    }
}

/// What was found by one rule.
pub(crate) fn found(world: &World, rule: Rule) -> Vec<Found> {
    let all = world.problems.all().into_iter();
    all.filter(|found| found.rule == rule).collect()
}
