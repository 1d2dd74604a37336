//! Pure. What policies come to, and what is to be said about them.

use mesh::model::Policy;
use mesh::model::attached::{PolicyBody, RequestAction};
use mesh::names::NamespacedName;
use mesh::wire::Update;
use objects::istio::authorization_policy::{Action, TargetRef};

use super::{Computed, View, attached};
use crate::index::links::Output;
use crate::translate::status::Status;
use crate::translate::{Finding, peer_authentication, policy as translate};

pub(super) fn policy(view: View<'_>, name: &NamespacedName) -> Option<Computed> {
    let View {
        shelf,
        book,
        cluster,
        ..
    } = view;
    let key = Output::Policy(name.clone()).key();
    let object = shelf.find(&key)?;
    let written = book.translate(object)?;
    let in_force = book.translate(book.in_force(object))?;
    let asked = written.attached.as_ref().and_then(|it| match &it.action {
        RequestAction::Custom(provider) => Some(&**provider),
        _ => None,
    });
    let situation = translate::report::Situation {
        selects_any: book.selects_any(&key),
        has_last_good: book.has_last_good(&key),
        places: attached::places(view, &name.namespace, &written.targets),
        has_provider: cluster
            .authorizers
            .iter()
            .any(|it| Some(&*it.name) == asked),
        rival: asked.and_then(|asked| rival(view, name, &written, asked)),
    };
    let (findings, status) = translate::report::report(&written, &situation);
    let told = in_force.attached.and_then(|body| {
        attached::told(
            view,
            &key,
            &in_force.targets,
            PolicyBody::Authorization(body),
        )
    });
    Some(Computed {
        for_waypoints: told.into_iter().collect(),
        ..computed(in_force.policy, findings, status)
    })
}

/// Another CUSTOM policy of one of the targets, with another provider.
fn rival(
    view: View<'_>,
    name: &NamespacedName,
    written: &translate::Translated,
    asked: &str,
) -> Option<String> {
    let is_shared = |other: &TargetRef| {
        let mut own = written.targets.iter().map(|(it, _)| it);
        own.any(|it| it.kind == other.kind && it.name == other.name)
    };
    let mut others = view.shelf.policies_in(&name.namespace).filter(|it| {
        let spec = &it.spec;
        let provider = spec.provider.as_ref().map(|it| it.name.as_str());
        let mut targets = spec.target_ref.iter().chain(&spec.target_refs);
        *it.metadata.name != *name.name
            && spec.action == Action::Custom
            && provider.is_some_and(|it| it != asked)
            && targets.any(is_shared)
    });
    others.next().map(|it| it.metadata.name.clone())
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
