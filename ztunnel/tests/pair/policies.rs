//! Policies as connections meet them: refused, cut, held until they have come, and only reported.

use std::io::{Read, Write};

use mesh::flow::{Direction, Reason};
use mesh::model::Action;
use mesh::state::Removal;
use mesh::wire::Update;

use crate::logged;
use crate::net::TWO;
use crate::world::{A_WHILE, World, answer_once, ask, deny_all, everything, is_refused, web};

pub(crate) fn policy_change() {
    let world = World::new();
    let (mut client, application) = world.connection(&world.listen(TWO.into()));
    world
        .two
        .learn(vec![Update::Policy(Box::new(deny_all()))], Vec::new());
    assert!(is_refused(&client));
    assert!(is_refused(&application));
    let _ = client.write_all(b"late");
    World::wait_for_end(&world.two, Direction::Inbound, Reason::PolicyChanged);
    let gone = vec![Removal::Policy("shop/nobody".into())];
    world.two.learn(Vec::new(), gone);
}

pub(crate) fn policy_named() {
    let world = World::new();
    let mut policy = deny_all();
    policy.scope = mesh::model::PolicyScope::WorkloadSelector;
    let mut named = web();
    named.policies = vec![policy.key.clone()];
    let policy = Update::Policy(Box::new(policy));
    world.two.learn(vec![policy], Vec::new());
    let (client, application) = world.connection(&world.listen(TWO.into()));
    world
        .two
        .learn(vec![Update::Workload(Box::new(named))], Vec::new());
    assert!(is_refused(&client));
    assert!(is_refused(&application));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::PolicyChanged);
}

pub(crate) fn dry_run() {
    let world = World::new();
    let reporting = |name: &str, action, rules: usize| mesh::model::Policy {
        key: mesh::names::NamespacedName::new("shop", name),
        action,
        rules: vec![mesh::model::Rule::default(); rules],
        dry_run: true,
        ..deny_all()
    };
    let policies = [
        (reporting("deny", Action::Deny, 1), "refuses"),
        (reporting("allow", Action::Allow, 1), "admits"),
        (reporting("allow-none", Action::Allow, 0), "does not admit"),
    ];
    let updates = policies
        .iter()
        .map(|(it, _)| Update::Policy(Box::new(it.clone())));
    world.two.learn(updates.collect(), Vec::new());
    let application = answer_once(world.listen(TWO.into()), b"admitted");
    assert_eq!(ask(&world.call(), b"?"), b"admitted");
    application.join().unwrap();
    for (policy, result) in &policies {
        let labels = [
            format!("policy=\"{}\"", policy.key),
            format!("result=\"{result}\""),
        ];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let name = "weft_ztunnel_policy_dry_runs_total";
        world.two.wait_for_metric(name, &labels, 1);
    }
    let is_it = |line: &logged::Line| {
        line.get("message") == "dry-run policy"
            && line.get("policy") == "shop/deny"
            && line.get("src.identity") == "spiffe://cluster.local/ns/shop/sa/client"
            && line.get("effect") == "refuses"
            && line.get("rule") == "0"
    };
    assert!(logged::all().iter().any(is_it));
}

pub(crate) fn policy_change_without_record() {
    let world = World::new();
    let (client, _application) = world.connection(&world.listen(TWO.into()));
    let gone = vec![Removal::Address(web().uid.0.as_ref().into())];
    let policy = vec![Update::Policy(Box::new(deny_all()))];
    world.two.learn(policy, gone);
    client.set_read_timeout(Some(A_WHILE)).unwrap();
    let kept = (&client).read(&mut [0]).unwrap_err();
    assert_eq!(kept.kind(), std::io::ErrorKind::WouldBlock);
    client
        .set_read_timeout(Some(crate::proxy::PATIENCE))
        .unwrap();
    world.two.learn(everything(), Vec::new());
    assert!(is_refused(&client));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::PolicyChanged);
}

pub(crate) fn policies_are_late() {
    let world = World::empty();
    world.one.learn(everything(), Vec::new());
    // Workloads come first, and name no policy of their namespace.
    world.two.learn_addresses(everything(), Vec::new());
    let _listener = world.listen(TWO.into());
    let call = world.call();
    call.set_read_timeout(Some(A_WHILE)).unwrap();
    (&call).write_all(b"?").unwrap();
    assert!((&call).read(&mut [0]).is_err(), "nothing can have come yet");
    call.set_read_timeout(Some(crate::proxy::PATIENCE)).unwrap();
    world
        .two
        .learn(vec![Update::Policy(Box::new(deny_all()))], Vec::new());
    assert!(is_refused(&call));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::PolicyDenied);
}

pub(crate) fn denied() {
    let world = World::new();
    world
        .two
        .learn(vec![Update::Policy(Box::new(deny_all()))], Vec::new());
    let _listener = world.listen(TWO.into());
    assert!(is_refused(&world.call()));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::PolicyDenied);
    World::wait_for_end(&world.one, Direction::Outbound, Reason::RefusedByPeerPolicy);
}
