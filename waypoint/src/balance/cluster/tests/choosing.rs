//! Ways of choosing.

use super::*;

#[test]
fn without_endpoints_nothing_is_chosen() {
    let mut world = World::with(Balancing::LeastRequest, vec![]);
    assert_eq!(world.ask(|_| ()).unwrap_err(), NoEndpoint::None);
    world.set(endpoints(&[0, 0]));
    assert_eq!(world.ask(|_| ()).unwrap_err(), NoEndpoint::NoneAvailable);
    let mut unhealthy = endpoint("a", 1);
    unhealthy.is_healthy = false;
    world.set(vec![unhealthy]);
    assert_eq!(world.ask(|_| ()).unwrap_err(), NoEndpoint::NoneAvailable);
}

#[test]
fn of_two_the_less_busy_is_chosen() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 1]));
    let held: Vec<_> = (0..100).map(|_| world.pick()).collect();
    let of_first = held.iter().filter(|p| ***p == id("e0")).count();
    assert_eq!(of_first, 50);
    drop(held);
    let table = world.cluster.table.load();
    assert!(table.members.iter().all(|m| m.endpoint.active() == 0));
}

#[test]
fn busy_endpoints_of_more_weight_take_more() {
    let mut world = World::with(Balancing::LeastRequest, endpoints(&[1, 3]));
    let held: Vec<_> = (0..400).map(|_| world.pick()).collect();
    let of_first = held.iter().filter(|p| ***p == id("e0")).count();
    assert!((95..=105).contains(&of_first), "{of_first}");
}
