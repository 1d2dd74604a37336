//! The policies in force, and whom each change of them or of a workload's labels touches.
//!
//! A policy with a value that cannot be read leaves its last good version in force. How many workloads each selector
//! chooses is counted along, so that a pod's event costs as many comparisons as policies can choose it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use mesh::identity::TrustDomain;
use mesh::model::Policy;
use mesh::names::NamespacedName;
use objects::istio::authorization_policy::Action;
use objects::kinds::{Key, Kind};
use objects::labels::Labels;
use objects::object::{Object, Typed};
use objects::selector::contains_all;

use super::links::{Dirty, Output, name};
use crate::shelf::{Replaced, Shelf};
use crate::translate::peer_authentication::{self, Peer};
use crate::translate::policies::{Policies, Selecting, policies_of};
use crate::translate::policy::{self, Translated};
use crate::translate::{Cluster, Finding, rate_limit, request_authentication};

/// The policies in force.
#[derive(Clone, Debug, Default)]
pub struct Book {
    policies: Policies,
    trust_domain: TrustDomain,
    /// Of objects with a value that cannot be read: what stays in force instead.
    last_good: HashMap<Key, Arc<Object>>,
    /// How many workloads the selector of each chooses; none where that is nobody.
    chosen: HashMap<Key, usize>,
}

impl Book {
    /// None.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            policies: Policies::new(Arc::clone(&cluster.root_namespace)),
            trust_domain: cluster.trust_domain.clone(),
            ..Self::default()
        }
    }

    /// What workloads depend on.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The policy that refuses plain text on every port; it is there as soon as any PeerAuthentication is.
    pub fn strict(&self) -> Option<Policy> {
        let root = self.policies.root();
        self.policies
            .has_peers()
            .then(|| peer_authentication::strict(root))
    }

    /// The version of an object that is in force.
    pub fn in_force<'a>(&'a self, written: &'a Object) -> &'a Object {
        let last_good = self.last_good.get(written.key());
        last_good.map_or(written, Arc::as_ref)
    }

    /// What an AuthorizationPolicy comes to; `None` for other kinds.
    pub fn translate(&self, object: &Object) -> Option<Translated> {
        let policy = object.authorization_policy()?;
        let mesh = policy::Mesh {
            root: self.policies.root(),
            trust_domain: &self.trust_domain,
        };
        Some(policy::translate(mesh, policy, &object.unread()))
    }

    /// What a RequestAuthentication comes to; `None` for other kinds.
    pub fn tokens(&self, object: &Object) -> Option<request_authentication::Translated> {
        let tokens = object.request_authentication()?;
        Some(request_authentication::translate(
            self.policies.root(),
            tokens,
        ))
    }

    /// Whether an earlier version of an object is in force.
    pub fn has_last_good(&self, key: &Key) -> bool {
        self.last_good.contains_key(key)
    }

    /// Whether an object's selector chooses any workload.
    pub fn selects_any(&self, key: &Key) -> bool {
        self.chosen.contains_key(key)
    }

    /// Takes a change in and adds what depends on it. `shelf` holds the new form already.
    pub fn take_in(&mut self, replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
        match replaced.key.kind {
            Kind::AuthorizationPolicy => self.policy(replaced, shelf, dirty),
            Kind::PeerAuthentication => self.peer(replaced, shelf, dirty),
            Kind::RequestAuthentication => {
                let key = &replaced.key;
                let name = NamespacedName::new(&*key.namespace, &*key.name);
                dirty.add(Output::Authentication(name));
                self.keep(replaced, |book, it| {
                    book.tokens(it).is_some_and(|it| it.is_rejected)
                });
            }
            Kind::RateLimitPolicy => {
                let key = &replaced.key;
                let name = NamespacedName::new(&*key.namespace, &*key.name);
                dirty.add(Output::RateLimit(name));
                self.keep(replaced, |_, it| {
                    let limits = it.rate_limit_policy().map(rate_limit::translate);
                    limits.is_some_and(|it| it.is_rejected)
                });
            }
            Kind::HTTPRoute => {
                let limits = shelf.rate_limits_in(&replaced.key.namespace).filter(|it| {
                    let mut targets = it.spec.target_refs.iter();
                    targets.any(|it| it.kind == "HTTPRoute" && it.name == replaced.key.name)
                });
                limits.for_each(|it| dirty.add(Output::RateLimit(name(&it.metadata))));
            }
            Kind::Pod | Kind::WorkloadEntry | Kind::ServiceEntry => {
                let labels = [&replaced.before, &replaced.after];
                let labels = labels.map(|it| it.as_deref().map(labels_of).unwrap_or_default());
                let [before, after] = &labels;
                self.member(&replaced.key.namespace, before, after, dirty);
            }
            _ => {}
        }
    }

    /// Takes everything in anew, with other facts of the mesh perhaps.
    pub fn rebuild(&mut self, cluster: &Cluster, shelf: &Shelf, dirty: &mut Dirty) {
        let root = &cluster.root_namespace;
        for root in [self.policies.root(), root] {
            dirty.add(Output::Strict(peer_authentication::strict_name(root)));
        }
        self.policies = Policies::new(Arc::clone(root));
        self.trust_domain = cluster.trust_domain.clone();
        for written in shelf.policies() {
            let key = written.key();
            let selector = self
                .translate(self.in_force(written))
                .and_then(|it| it.selector);
            self.policies
                .put_policy(&key.namespace, &key.name, selector);
        }
        for written in shelf.peers() {
            let key = written.key();
            let peer = read_peer(self.in_force(written)).map(|(peer, _)| peer);
            self.policies.put_peer(&key.namespace, &key.name, peer);
        }
        self.chosen.clear();
        for (output, labels) in members(shelf, None) {
            let namespace = output.key().namespace;
            for (selecting, selector) in self.policies.selectors(&namespace) {
                if contains_all(&labels, selector) {
                    *self
                        .chosen
                        .entry(selecting_output(selecting, &namespace).key())
                        .or_default() += 1;
                }
            }
        }
    }

    fn policy(&mut self, replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
        let key = &replaced.key;
        dirty.add(Output::Policy(NamespacedName::new(
            &*key.namespace,
            &*key.name,
        )));
        if [&replaced.before, &replaced.after]
            .into_iter()
            .flatten()
            .any(|it| asks_somebody(it))
        {
            let others = shelf.policies_in(&key.namespace);
            let others = others.filter(|it| it.spec.action == Action::Custom);
            others.for_each(|it| dirty.add(Output::Policy(name(&it.metadata))));
        }
        let is_bad = |book: &Self, it: &Object| book.translate(it).is_some_and(|it| it.is_rejected);
        let in_force = self.keep(replaced, is_bad);
        let after = in_force.and_then(|it| self.translate(&it)?.selector);
        let before = self.policies.selector(&key.namespace, &key.name).cloned();
        if before == after {
            return;
        }
        let chooses = |selector: &Option<Labels>, labels: &Labels| {
            selector.as_ref().is_some_and(|it| contains_all(labels, it))
        };
        let reach = Some(key.namespace.as_str()).filter(|it| *it != &**self.policies.root());
        let mut chosen = 0;
        for (output, labels) in members(shelf, reach) {
            let (was, is) = (chooses(&before, &labels), chooses(&after, &labels));
            chosen += usize::from(is);
            if was != is {
                dirty.add(output);
            }
        }
        self.set_chosen(key, chosen);
        self.policies.put_policy(&key.namespace, &key.name, after);
    }

    fn peer(&mut self, replaced: &Replaced, shelf: &Shelf, dirty: &mut Dirty) {
        let key = &replaced.key;
        dirty.add(Output::Peer(NamespacedName::new(
            &*key.namespace,
            &*key.name,
        )));
        let is_bad = |_: &Self, it: &Object| read_peer(it).is_some_and(|(_, bad)| !bad.is_empty());
        let in_force = self.keep(replaced, is_bad);
        let after = in_force.and_then(|it| Some(read_peer(&it)?.0));
        let before = self.policies.peer(&key.namespace, &key.name).cloned();
        if before == after {
            return;
        }
        let is_root = *key.namespace == **self.policies.root();
        let reach = Some(key.namespace.as_str()).filter(|_| !is_root);
        let may_choose = |peer: &Option<Peer>, labels: &Labels| {
            peer.as_ref()
                .is_some_and(|it| contains_all(labels, &it.selector))
        };
        let touched: Vec<_> = members(shelf, reach)
            .filter(|(_, labels)| may_choose(&before, labels) || may_choose(&after, labels))
            .collect();
        let named = |policies: &Policies| -> Vec<Vec<NamespacedName>> {
            let touched = touched.iter();
            touched
                .map(|(it, labels)| policies_of(labels, &it.key().namespace, policies))
                .collect()
        };
        let (named_before, had_peers) = (named(&self.policies), self.policies.has_peers());
        let chosen = touched
            .iter()
            .filter(|(_, labels)| may_choose(&after, labels))
            .count();
        let selects = after
            .as_ref()
            .is_some_and(|it| !it.selector.is_empty() && !is_root);
        self.set_chosen(key, if selects { chosen } else { 0 });
        self.policies.put_peer(&key.namespace, &key.name, after);
        if had_peers != self.policies.has_peers() {
            let strict = peer_authentication::strict_name(self.policies.root());
            dirty.add(Output::Strict(strict));
        }
        // What the others come to depends on the wider levels, and which of two is older on both.
        let others = self.policies.all_peers(reach);
        others.for_each(|(namespace, peer)| {
            dirty.add(Output::Peer(NamespacedName::new(
                namespace,
                peer.name.as_str(),
            )));
        });
        let named_after = named(&self.policies);
        let changed = touched.iter().zip(named_before.iter().zip(&named_after));
        let changed = changed.filter(|(_, (before, after))| before != after);
        changed.for_each(|((output, _), _)| dirty.add(output.clone()));
    }

    /// A workload of a namespace has come, gone or got other labels.
    fn member(
        &mut self,
        namespace: &str,
        before: &[Cow<'_, Labels>],
        after: &[Cow<'_, Labels>],
        dirty: &mut Dirty,
    ) {
        if before == after {
            return;
        }
        let chosen_of = |all: &[Cow<'_, Labels>], selector: &Labels| {
            let chosen = all.iter().filter(|labels| contains_all(labels, selector));
            chosen.count()
        };
        for (selecting, selector) in self.policies.selectors(namespace) {
            let (was, is) = (chosen_of(before, selector), chosen_of(after, selector));
            if was == is {
                continue;
            }
            let output = selecting_output(selecting, namespace);
            let key = output.key();
            let count = self.chosen.get(&key).copied().unwrap_or_default();
            let now = (count + is).saturating_sub(was);
            if (count == 0) != (now == 0) {
                dirty.add(output);
            }
            set(&mut self.chosen, &key, now);
        }
    }

    /// The version of a changed object that is in force from now on.
    fn keep(
        &mut self,
        replaced: &Replaced,
        is_rejected: impl Fn(&Self, &Object) -> bool,
    ) -> Option<Arc<Object>> {
        let key = &replaced.key;
        let after = replaced.after.as_ref();
        if !after.is_some_and(|it| is_rejected(self, it)) {
            self.last_good.remove(key);
            return after.cloned();
        }
        let before = replaced.before.as_ref();
        if let Some(before) = before.filter(|it| !is_rejected(self, it)) {
            self.last_good.insert(key.clone(), Arc::clone(before));
        }
        self.last_good.get(key).or(after).cloned()
    }

    fn set_chosen(&mut self, key: &Key, count: usize) {
        set(&mut self.chosen, key, count);
    }
}

/// Whether a policy is CUSTOM: others of its kind contradict it, perhaps.
fn asks_somebody(object: &Object) -> bool {
    let policy = object.authorization_policy();
    policy.is_some_and(|it| it.spec.action == Action::Custom)
}

fn set(chosen: &mut HashMap<Key, usize>, key: &Key, count: usize) {
    match count {
        0 => chosen.remove(key),
        count => chosen.insert(key.clone(), count),
    };
}

/// What a policy that chooses workloads of `namespace` is.
fn selecting_output(selecting: Selecting<'_>, namespace: &str) -> Output {
    match selecting {
        Selecting::Policy(place, name) => Output::Policy(NamespacedName::new(place, name)),
        Selecting::Peer(name) => Output::Peer(NamespacedName::new(namespace, name)),
    }
}

/// The workloads that policies can choose, of a namespace or of all, with their labels.
fn members<'a>(
    shelf: &'a Shelf,
    namespace: Option<&'a str>,
) -> impl Iterator<Item = (Output, Cow<'a, Labels>)> {
    let objects = shelf.workloads(namespace);
    objects.flat_map(|object| {
        let output = Output::of(object.key());
        let labels = labels_of(object).into_iter();
        labels.filter_map(move |labels| Some((output.clone()?, labels)))
    })
}

/// The labels of every workload that an object is or names.
fn labels_of(object: &Object) -> Vec<Cow<'_, Labels>> {
    match object.typed() {
        // One that has ended does not come back.
        Typed::Pod(pod) if !pod.has_ended() => vec![Cow::Borrowed(&pod.metadata.labels)],
        Typed::WorkloadEntry(entry) => vec![Cow::Owned(entry.labels())],
        Typed::ServiceEntry(entry) if entry.resolves_its_hosts() => {
            let hosts = entry.spec.hosts.iter();
            hosts.map(|_| Cow::Owned(Labels::default())).collect()
        }
        Typed::ServiceEntry(entry) => {
            let endpoints = entry.spec.endpoints.iter();
            endpoints.map(|it| Cow::Borrowed(&it.labels)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a PeerAuthentication says, and what in it cannot be read; `None` for other kinds.
fn read_peer(object: &Object) -> Option<(Peer, Vec<Finding>)> {
    let peer = object.peer_authentication()?;
    Some(peer_authentication::read(peer, &object.unread()))
}
