//! What the controller has published, state by state, and random next states.
//!
//! Every version of a record bears its number (a workload as its canonical revision, a policy as its
//! origin's rule), so that of whatever a proxy holds it can be said when it was published.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mesh::authz::{self, Facts, Verdict};
use mesh::identity::{Identity, TrustDomain};
use mesh::model::{
    Action, Clause, Health, Locality, Match, NetworkMode, Origin, Policy, PolicyScope, Rule,
    StringMatch, TunnelKind, Workload, WorkloadKind,
};
use mesh::names::{NamespacedName, WorkloadUid};
use rand::RngExt;
use rand::rngs::StdRng;

/// Name and namespace of every workload there can be.
const WORKLOADS: [(&str, &str); 5] = [
    ("w0", "a"),
    ("w1", "a"),
    ("w2", "a"),
    ("w3", "b"),
    ("w4", "b"),
];
/// Every policy there can be; those of `root` may be for the whole mesh.
const POLICIES: [(&str, &str); 7] = [
    ("p0", "root"),
    ("p1", "root"),
    ("p2", "a"),
    ("p3", "a"),
    ("p4", "a"),
    ("p5", "b"),
    ("p6", "b"),
];
const ACCOUNTS: [&str; 3] = ["x", "y", "z"];
const PORTS: [u16; 2] = [80, 81];

/// One state of the mesh, whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) workloads: BTreeMap<String, Arc<Workload>>,
    pub(crate) policies: BTreeMap<NamespacedName, Arc<Policy>>,
}

/// All states so far, the first one empty.
pub(crate) struct History {
    pub(crate) states: Vec<State>,
    versions: u64,
    pub(crate) only_tighter: bool,
}

/// A connection that somebody might open.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) identity: Option<Identity>,
    pub(crate) port: u16,
}

impl Attempt {
    pub(crate) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    pub(crate) const DESTINATION: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    /// Every one that policies can tell from the others.
    pub(crate) fn all() -> Vec<Self> {
        let identity = |account| Identity::new(TrustDomain::default(), "a", account);
        let mut identities: Vec<_> = ACCOUNTS.map(|it| Some(identity(it))).into();
        identities.push(None);
        let with_ports = |identity: Option<Identity>| {
            PORTS.map(|port| Self {
                identity: identity.clone(),
                port,
            })
        };
        identities.into_iter().flat_map(with_ports).collect()
    }
}

/// Whether `policy` applies to a workload of that record.
pub(crate) fn applies(policy: &Policy, workload: &Workload) -> bool {
    match policy.scope {
        PolicyScope::Global => true,
        PolicyScope::Namespace => policy.key.namespace == workload.namespace,
        PolicyScope::WorkloadSelector => workload.policies.contains(&policy.key),
    }
}

impl State {
    /// Whether this state, had a proxy it whole, would admit it.
    pub(crate) fn admits(&self, uid: &str, attempt: &Attempt) -> bool {
        let Some(workload) = self.workloads.get(uid) else {
            return false;
        };
        if workload
            .policies
            .iter()
            .any(|key| !self.policies.contains_key(key))
        {
            return false;
        }
        let facts = Facts {
            source_identity: attempt.identity.as_ref(),
            source_ip: Attempt::SOURCE,
            destination_ip: Attempt::DESTINATION,
            destination_port: attempt.port,
            request: None,
        };
        let policies = self.policies.values().map(|it| &**it);
        let verdict = authz::decide(&facts, policies.filter(|it| applies(it, workload)));
        matches!(verdict, Verdict::Allowed(_))
    }
}

impl History {
    /// An empty mesh. `only_tighter`: after the first, every state refuses what the one before it refused.
    pub(crate) fn new(only_tighter: bool) -> Self {
        Self {
            states: vec![State::default()],
            versions: 0,
            only_tighter,
        }
    }

    pub(crate) fn last(&self) -> usize {
        self.states.len() - 1
    }

    pub(crate) fn uids() -> impl Iterator<Item = String> {
        WORKLOADS
            .iter()
            .map(|(name, namespace)| uid(name, namespace))
    }

    pub(crate) fn keys() -> impl Iterator<Item = NamespacedName> {
        POLICIES
            .iter()
            .map(|(name, namespace)| NamespacedName::new(*namespace, *name))
    }

    /// The next state: one to three objects edited, and what follows from it for workloads.
    pub(crate) fn go_on(&mut self, dice: &mut StdRng) {
        let mut next = self.states[self.last()].clone();
        let is_loose = !self.only_tighter || self.states.len() == 1;
        for _ in 0..dice.random_range(1..4) {
            match dice.random_range(0..10) {
                0..=4 if is_loose => self.edit_policy(dice, &mut next),
                0..=4 => self.tighten(dice, &mut next),
                5 if is_loose => {
                    let key = one_key(dice);
                    next.policies.remove(&key);
                    self.unlist(&mut next, &key);
                }
                6..=8 if is_loose => self.edit_workload(dice, &mut next),
                6..=8 => self.add_workload(dice, &mut next),
                _ => {
                    let gone = dice.random_range(0..WORKLOADS.len());
                    next.workloads
                        .remove(&uid(WORKLOADS[gone].0, WORKLOADS[gone].1));
                }
            }
        }
        self.states.push(next);
    }

    fn version(&mut self) -> Arc<str> {
        self.versions += 1;
        self.versions.to_string().into()
    }

    fn edit_policy(&mut self, dice: &mut StdRng, next: &mut State) {
        let key = one_key(dice);
        let scope = match dice.random_range(0..4) {
            0 | 1 => PolicyScope::WorkloadSelector,
            _ if &*key.namespace == "root" => PolicyScope::Global,
            _ => PolicyScope::Namespace,
        };
        let action = match dice.random_bool(0.5) {
            true => Action::Allow,
            false => Action::Deny,
        };
        let rules = (0..dice.random_range(0..3)).map(|_| rule(dice)).collect();
        if scope != PolicyScope::WorkloadSelector {
            self.unlist(next, &key);
        }
        self.put(next, key, scope, action, rules);
    }

    fn put(
        &mut self,
        next: &mut State,
        key: NamespacedName,
        scope: PolicyScope,
        action: Action,
        rules: Vec<Rule>,
    ) {
        let mut origin = Origin::object("AuthorizationPolicy", &*key.namespace, &*key.name);
        origin.rule = self.version();
        let policy = Policy {
            key: key.clone(),
            scope,
            action,
            rules,
            dry_run: false,
            origin: Some(origin),
        };
        next.policies.insert(key, Arc::new(policy));
    }

    /// No workload names a policy that is gone or selects nobody.
    fn unlist(&mut self, next: &mut State, key: &NamespacedName) {
        for workload in next.workloads.values_mut() {
            if workload.policies.contains(key) {
                let workload = Arc::make_mut(workload);
                workload.policies.retain(|it| it != key);
                workload.canonical_revision = self.version();
            }
        }
    }

    fn edit_workload(&mut self, dice: &mut StdRng, next: &mut State) {
        let (name, namespace) = WORKLOADS[dice.random_range(0..WORKLOADS.len())];
        let selecting = next.policies.values().filter(|it| {
            let is_near = ["root", namespace].contains(&&*it.key.namespace);
            it.scope == PolicyScope::WorkloadSelector && is_near && dice.random_bool(0.6)
        });
        let policies = selecting.map(|it| it.key.clone()).collect();
        let workload = workload(name, namespace, self.version(), policies);
        next.workloads
            .insert(uid(name, namespace), Arc::new(workload));
    }

    /// A DENY more, a DENY's rule more, or an ALLOW's rule less.
    fn tighten(&mut self, dice: &mut StdRng, next: &mut State) {
        let key = one_key(dice);
        let Some(old) = next.policies.get(&key).cloned() else {
            let scope = match &*key.namespace {
                "root" => PolicyScope::Global,
                _ => PolicyScope::Namespace,
            };
            let rules = vec![rule(dice)];
            self.put(next, key, scope, Action::Deny, rules);
            return;
        };
        let mut rules = old.rules.clone();
        match old.action {
            Action::Deny => rules.push(rule(dice)),
            Action::Allow => _ = rules.pop(),
        }
        self.put(next, key, old.scope, old.action, rules);
    }

    /// A workload that was not there, or one DENY more on one that was.
    fn add_workload(&mut self, dice: &mut StdRng, next: &mut State) {
        let (name, namespace) = WORKLOADS[dice.random_range(0..WORKLOADS.len())];
        let Some(old) = next.workloads.get(&uid(name, namespace)).cloned() else {
            return self.edit_workload(dice, next);
        };
        let more = next.policies.values().find(|it| {
            let is_near = ["root", namespace].contains(&&*it.key.namespace);
            let is_new = !old.policies.contains(&it.key);
            is_near
                && is_new
                && it.scope == PolicyScope::WorkloadSelector
                && it.action == Action::Deny
        });
        let Some(more) = more else { return };
        let mut policies = old.policies.clone();
        policies.push(more.key.clone());
        let workload = workload(name, namespace, self.version(), policies);
        next.workloads
            .insert(uid(name, namespace), Arc::new(workload));
    }
}

fn uid(name: &str, namespace: &str) -> String {
    WorkloadUid::pod("Kubernetes", namespace, name)
        .0
        .to_string()
}

fn one_key(dice: &mut StdRng) -> NamespacedName {
    let (name, namespace) = POLICIES[dice.random_range(0..POLICIES.len())];
    NamespacedName::new(namespace, name)
}

/// By account, by the want of an identity, or all; of one port or of both.
fn rule(dice: &mut StdRng) -> Rule {
    let mut it = Match::default();
    let principal = |account: &str| format!("cluster.local/ns/a/sa/{account}");
    let one = principal(ACCOUNTS[dice.random_range(0..ACCOUNTS.len())]);
    match dice.random_range(0..8) {
        0 => it.not_principals = vec![StringMatch::Presence],
        1 => it.not_principals = vec![StringMatch::Exact(one.into())],
        2 => it.destination_ports = vec![PORTS[dice.random_range(0..PORTS.len())]],
        3 => return Rule::default(),
        _ => it.principals = vec![StringMatch::Exact(one.into())],
    }
    if dice.random_bool(0.2) {
        it.destination_ports = vec![PORTS[dice.random_range(0..PORTS.len())]];
    }
    Rule {
        clauses: vec![Clause { matches: vec![it] }],
    }
}

fn workload(
    name: &str,
    namespace: &str,
    version: Arc<str>,
    policies: Vec<NamespacedName>,
) -> Workload {
    Workload {
        uid: WorkloadUid::pod("Kubernetes", namespace, name),
        name: name.into(),
        namespace: namespace.into(),
        addresses: vec![Attempt::DESTINATION],
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: name.into(),
        node: "node".into(),
        canonical_name: name.into(),
        canonical_revision: version,
        workload_kind: WorkloadKind::Pod,
        workload_name: name.into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: vec![],
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies,
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}
