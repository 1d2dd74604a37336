//! Pure. What policies come to, and what is to be said about them.

use mesh::model::Policy;
use mesh::names::NamespacedName;
use mesh::wire::Update;
use objects::istio::authorization_policy::TargetRef;

use super::{Computed, View};
use crate::index::links::Output;
use crate::shelf::Shelf;
use crate::translate::status::Status;
use crate::translate::{Finding, peer_authentication, policy as translate};

pub(super) fn policy(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, book, .. } = view;
    let key = Output::Policy(name.clone()).key();
    let object = shelf.find(&key)?;
    let written = book.translate(object)?;
    let in_force = book.translate(book.in_force(object));
    let targets = written.targets.iter();
    let situation = translate::report::Situation {
        selects_any: book.selects_any(&key),
        has_last_good: book.has_last_good(&key),
        targets: targets
            .map(|it| exists(it, &name.namespace, shelf))
            .collect(),
    };
    let (findings, status) = translate::report::report(&written, &situation);
    Some(computed(
        in_force.and_then(|it| it.policy),
        findings,
        status,
    ))
}

fn computed(policy: Option<Policy>, findings: Vec<Finding>, status: Status) -> Computed {
    let updates = policy.map(|it| Update::Policy(Box::new(it)));
    Computed {
        updates: updates.into_iter().collect(),
        findings,
        status: Some(status),
        ..Computed::default()
    }
}

/// Whether what a policy is attached to is there; of kinds that are not read nobody knows.
fn exists(target: &TargetRef, namespace: &str, shelf: &Shelf) -> bool {
    match target.kind.as_str() {
        "Service" => shelf.service(namespace, &target.name).is_some(),
        "ServiceEntry" => shelf.service_entry(namespace, &target.name).is_some(),
        "Gateway" => shelf.gateway(namespace, &target.name).is_some(),
        _ => true,
    }
}

pub(super) fn peer(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View { shelf, book, .. } = view;
    let key = Output::Peer(name.clone()).key();
    let object = shelf.find(&key)?;
    let written = object.peer_authentication()?;
    let (namespace, policies) = (&*name.namespace, book.policies());
    let is_root = namespace == &**policies.root();
    let others = policies.peers(namespace);
    let situation = peer_authentication::Situation {
        is_root,
        older: others.take_while(|it| it.name != *name.name).collect(),
        selects_any: book.selects_any(&key),
        has_last_good: book.has_last_good(&key),
    };
    let in_force = policies.peer(namespace, &name.name).filter(|_| !is_root);
    let policy = in_force.and_then(|it| it.converted(namespace, policies.is_strict(namespace)));
    let (findings, status) = peer_authentication::report(written, &object.unread(), &situation);
    Some(computed(policy, findings, status))
}

pub(super) fn strict(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let strict = view.book.strict().filter(|it| it.key == *name)?;
    Some(Computed {
        updates: vec![Update::Policy(Box::new(strict))],
        ..Computed::default()
    })
}
