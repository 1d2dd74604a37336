//! Pure. PeerAuthentication to the policies that refuse plain text. Source: docs/compat.md#peer-authentication.

use std::collections::BTreeMap;

use mesh::model::{
    Action, Clause, Match, Origin, Policy, PolicyScope, Rule as ModelRule, StringMatch,
};
use mesh::names::NamespacedName;
use objects::istio::PeerAuthentication;
use objects::istio::peer_authentication::Mode;
use objects::labels::Labels;
use objects::object::Unread;
use objects::raw::Path;
use objects::selector::contains_all;

use super::Finding;
use super::age::{self, Age};
use super::rule::Rule;
use super::status::{Condition, Status};

/// The name of the policy that refuses plain text on every port.
const STRICT: &str = "istio_converted_static_strict";
/// Before the name of a PeerAuthentication, for what its ports come to.
const CONVERTED: &str = "converted_peer_authentication_";

/// What a PeerAuthentication says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Where several say something, the oldest counts.
    pub age: Age,
    /// Labels of its workloads; none for all of its namespace.
    pub selector: Labels,
    mode: Mode,
    ports: BTreeMap<u16, Mode>,
}

/// What decides what becomes of a PeerAuthentication beside its own words.
#[derive(Clone, Debug, Default)]
pub struct Situation<'a> {
    /// Whether it stands in the namespace whose policies are for the whole mesh.
    pub is_root: bool,
    /// The older ones of its namespace.
    pub older: Vec<&'a Peer>,
    /// Whether its selector chooses any workload.
    pub selects_any: bool,
    /// Whether a value in it cannot be read and an earlier version is in force instead.
    pub has_last_good: bool,
}

/// The name of the policy that refuses plain text on every port.
pub fn strict_name(root: &str) -> NamespacedName {
    NamespacedName::new(root, STRICT)
}

/// The name of the policy that a PeerAuthentication's ports come to.
pub fn converted_name(namespace: &str, name: &str) -> NamespacedName {
    NamespacedName::new(namespace, format!("{CONVERTED}{name}"))
}

/// The policy that refuses plain text on every port; it stands for many objects, so it has no origin.
pub fn strict(root: &str) -> Policy {
    policy(strict_name(root), vec![Match::default()], None)
}

/// A DENY policy for plain text, a rule for each match.
fn policy(key: NamespacedName, matches: Vec<Match>, origin: Option<Origin>) -> Policy {
    let rule = |found: Match| {
        // Only who has no identity fails to be somebody.
        let not_principals = vec![StringMatch::Presence];
        let matches = vec![Match {
            not_principals,
            ..found
        }];
        let clauses = vec![Clause { matches }];
        ModelRule { clauses }
    };
    Policy {
        key,
        scope: PolicyScope::WorkloadSelector,
        action: Action::Deny,
        rules: matches.into_iter().map(rule).collect(),
        dry_run: false,
        origin,
    }
}

impl Peer {
    /// Whether plain text is refused on ports of which nothing else is said, where `outer` says whether
    /// the next wider level refuses it.
    pub fn is_strict(&self, outer: bool) -> bool {
        match self.mode {
            Mode::Unset => outer,
            Mode::Strict => true,
            Mode::Disable | Mode::Permissive => false,
        }
    }

    /// Ports of which something else is said than of the rest.
    fn exceptions(&self, outer: bool) -> Vec<u16> {
        let is_strict = self.is_strict(outer);
        let differs = |mode: &Mode| match mode {
            Mode::Unset => false,
            Mode::Strict => !is_strict,
            Mode::Disable | Mode::Permissive => is_strict,
        };
        let ports = self.ports.iter().filter(|(_, mode)| differs(mode));
        ports.map(|(port, _)| *port).collect()
    }

    /// Whether some ports need a policy of their own.
    pub fn has_exceptions(&self, outer: bool) -> bool {
        !self.exceptions(outer).is_empty()
    }

    /// The policy that its ports come to, if they need one.
    pub fn converted(&self, namespace: &str, outer: bool) -> Option<Policy> {
        let ports = self.exceptions(outer);
        if self.selector.is_empty() || ports.is_empty() {
            return None;
        }
        let matches = if self.is_strict(outer) {
            vec![Match {
                not_destination_ports: ports,
                ..Match::default()
            }]
        } else {
            let one = |port| Match {
                destination_ports: vec![port],
                ..Match::default()
            };
            ports.into_iter().map(one).collect()
        };
        let origin = Origin::object("PeerAuthentication", namespace, self.name.as_str());
        Some(policy(
            converted_name(namespace, &self.name),
            matches,
            Some(origin),
        ))
    }
}

/// What a PeerAuthentication says, and which of its values cannot be read; `unread` is what of its document has no
/// place in `object`.
pub fn read(object: &PeerAuthentication, unread: &[Unread]) -> (Peer, Vec<Finding>) {
    let (metadata, spec) = (&object.metadata, &object.spec);
    let (mut ports, mut findings) = (BTreeMap::new(), Vec::new());
    for (text, mtls) in &spec.port_level_mtls {
        match text.parse() {
            Ok(port @ 1..=u16::MAX) => {
                ports.insert(port, mtls.mode);
            }
            _ => findings.push(Finding {
                rule: Rule::InvalidValue,
                path: port_path(text),
                reason: format!("{text:?} is not a port of a workload: 1 to 65535"),
            }),
        }
    }
    let chooser = Path::of_keys(&["spec", "selector"]);
    let unread = unread.iter().map(|it| &it.path);
    let unclear = unread.filter(|it| it.steps().starts_with(chooser.steps()));
    findings.extend(unclear.map(|path| Finding {
        rule: Rule::InvalidValue,
        path: path.clone(),
        reason: "whom it is for is unclear: a selector has matchLabels only".to_owned(),
    }));
    let selector = spec.selector.as_ref();
    let peer = Peer {
        name: metadata.name.clone(),
        age: age::of(metadata),
        selector: selector
            .map(|it| it.match_labels.clone())
            .unwrap_or_default(),
        mode: spec.mtls.mode,
        ports,
    };
    (peer, findings)
}

fn port_path(port: &str) -> Path {
    Path::of_keys(&["spec", "portLevelMtls", port])
}

/// What a PeerAuthentication's owner should know, and what its status says.
pub fn report(
    object: &PeerAuthentication,
    unread: &[Unread],
    situation: &Situation<'_>,
) -> (Vec<Finding>, Status) {
    let (peer, mut findings) = read(object, unread);
    let effect = if findings.is_empty() {
        "in force"
    } else if situation.has_last_good {
        "rejected: its last good version stays in force"
    } else {
        "in force without what cannot be read"
    };
    findings.extend(misplaced(&peer, situation));
    findings.extend(disabled(object));
    findings.extend(overruled(&peer, situation));
    let has_selector = !peer.selector.is_empty() && !situation.is_root;
    if has_selector && !situation.selects_any {
        findings.push(Finding::new(
            Rule::SelectsNothing,
            &["spec", "selector", "matchLabels"],
            "no workload of the namespace carries these labels",
        ));
    }
    let status = Status {
        conditions: vec![Condition::ztunnel_accepted(&findings, effect)],
        ..Status::default()
    };
    (findings, status)
}

/// What stands where it has no effect.
fn misplaced(peer: &Peer, situation: &Situation<'_>) -> Vec<Finding> {
    let ignored =
        |keys: &[&str], reason| Finding::new(Rule::PeerAuthenticationIgnored, keys, reason);
    if situation.is_root && !peer.selector.is_empty() {
        let reason = "in the root namespace a PeerAuthentication is for the whole mesh: one with a selector has no effect";
        return vec![ignored(&["spec", "selector"], reason)];
    }
    if peer.selector.is_empty() && !peer.ports.is_empty() {
        let reason = "ports are of workloads: without a selector these settings have no effect";
        return vec![ignored(&["spec", "portLevelMtls"], reason)];
    }
    Vec::new()
}

/// Where plain text is asked for.
fn disabled(object: &PeerAuthentication) -> Vec<Finding> {
    let spec = &object.spec;
    let ports = spec.port_level_mtls.iter();
    let ports = ports.filter(|(_, mtls)| mtls.mode == Mode::Disable);
    let mesh = Some(Path::of_keys(&["spec", "mtls"])).filter(|_| spec.mtls.mode == Mode::Disable);
    let places = mesh
        .into_iter()
        .chain(ports.map(|(port, _)| port_path(port)));
    let finding = |place: Path| Finding {
        rule: Rule::DisableIsPermissive,
        path: place.key("mode"),
        reason: "DISABLE admits plain text as PERMISSIVE does; mutual TLS is not switched off"
            .to_owned(),
    };
    places.map(finding).collect()
}

/// An older one that leaves this one without effect.
fn overruled(peer: &Peer, situation: &Situation<'_>) -> Option<Finding> {
    let takes_all = |older: &&&Peer| match (older.selector.is_empty(), peer.selector.is_empty()) {
        (true, true) => true,
        (false, false) => !situation.is_root && contains_all(&peer.selector, &older.selector),
        _ => false,
    };
    let older = situation.older.iter().find(takes_all)?;
    let keys: &[&str] = match peer.selector.is_empty() {
        true => &["spec"],
        false => &["spec", "selector"],
    };
    let reason = format!(
        "the older PeerAuthentication {} is for the same workloads and counts alone",
        older.name
    );
    Some(Finding::new(
        Rule::DuplicatePeerAuthentication,
        keys,
        reason,
    ))
}

#[cfg(test)]
mod tests;
