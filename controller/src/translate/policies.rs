//! Pure. Which policies a workload names in its record. Source: docs/compat.md#authorization-policies and
//! docs/compat.md#peer-authentication.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh::names::NamespacedName;
use objects::labels::Labels;
use objects::selector::contains_all;

use super::peer_authentication::{self, Peer};

/// The policies in force, as far as workloads depend on them.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    root: Arc<str>,
    by_namespace: HashMap<String, OfNamespace>,
}

#[derive(Clone, Debug, Default)]
struct OfNamespace {
    /// Selectors of AuthorizationPolicies by name.
    selecting: BTreeMap<String, Labels>,
    /// PeerAuthentications, the older ones first.
    peers: Vec<Peer>,
}

/// The policies that a workload names, sorted.
pub fn policies_of(labels: &Labels, namespace: &str, policies: &Policies) -> Vec<NamespacedName> {
    let mut names: Vec<NamespacedName> = policies
        .seen_from(namespace)
        .flat_map(|(place, policies)| {
            let selecting = policies.selecting.iter();
            let selecting = selecting.filter(|(_, selector)| contains_all(labels, selector));
            selecting.map(move |(name, _)| NamespacedName::new(place, name.as_str()))
        })
        .collect();
    names.extend(policies.plain_text_policy(labels, namespace));
    names.sort_unstable();
    names
}

impl Policies {
    /// None, where `root` is the namespace whose policies are for the whole mesh.
    pub fn new(root: Arc<str>) -> Self {
        Self {
            root,
            by_namespace: HashMap::new(),
        }
    }

    /// The namespace whose policies are for the whole mesh.
    pub fn root(&self) -> &Arc<str> {
        &self.root
    }

    /// Puts an AuthorizationPolicy with a selector in force, or takes it out.
    pub fn put_policy(&mut self, namespace: &str, name: &str, selector: Option<Labels>) {
        self.change(namespace, |policies| {
            match selector {
                Some(selector) => policies.selecting.insert(name.to_owned(), selector),
                None => policies.selecting.remove(name),
            };
        });
    }

    /// Puts a PeerAuthentication in force, or takes it out.
    pub fn put_peer(&mut self, namespace: &str, name: &str, peer: Option<Peer>) {
        self.change(namespace, |policies| {
            policies.peers.retain(|one| one.name != name);
            policies.peers.extend(peer);
            policies.peers.sort_by(|one, two| one.age.cmp(&two.age));
        });
    }

    fn change(&mut self, namespace: &str, change: impl FnOnce(&mut OfNamespace)) {
        let policies = self.by_namespace.entry(namespace.to_owned()).or_default();
        change(policies);
        if policies.selecting.is_empty() && policies.peers.is_empty() {
            self.by_namespace.remove(namespace);
        }
    }

    /// Whether any PeerAuthentication is in force.
    pub fn has_peers(&self) -> bool {
        self.by_namespace.values().any(|it| !it.peers.is_empty())
    }

    /// A PeerAuthentication in force.
    pub fn peer(&self, namespace: &str, name: &str) -> Option<&Peer> {
        self.peers(namespace).find(|it| it.name == name)
    }

    /// The PeerAuthentications of a namespace, the older ones first.
    pub fn peers(&self, namespace: &str) -> impl Iterator<Item = &Peer> {
        let policies = self.by_namespace.get(namespace);
        policies.into_iter().flat_map(|it| &it.peers)
    }

    /// The selector of an AuthorizationPolicy in force that has one.
    pub fn selector(&self, namespace: &str, name: &str) -> Option<&Labels> {
        self.by_namespace.get(namespace)?.selecting.get(name)
    }

    /// All PeerAuthentications, or those of one namespace, each with its namespace.
    pub fn all_peers(&self, namespace: Option<&str>) -> impl Iterator<Item = (&str, &Peer)> {
        let places = self.by_namespace.iter();
        let places = places.filter(move |(place, _)| namespace.is_none_or(|it| it == *place));
        places.flat_map(|(place, policies)| policies.peers.iter().map(|it| (place.as_str(), it)))
    }

    /// Whether workloads of a namespace refuse plain text unless a PeerAuthentication of their own says otherwise.
    pub fn is_strict(&self, namespace: &str) -> bool {
        let at = |namespace: &str| {
            let mut whole = self.peers(namespace).filter(|it| it.selector.is_empty());
            whole.next()
        };
        let mesh = at(&self.root).is_some_and(|it| it.is_strict(false));
        at(namespace).map_or(mesh, |it| it.is_strict(mesh))
    }

    /// The selectors of policies in force that can choose workloads of a namespace, each with its policy's kind of
    /// place: whether it is a PeerAuthentication, its namespace and its name.
    pub fn selectors(&self, namespace: &str) -> impl Iterator<Item = (Selecting<'_>, &Labels)> {
        let policies = self.seen_from(namespace).flat_map(|(place, policies)| {
            let selecting = policies.selecting.iter();
            selecting.map(move |(name, selector)| (Selecting::Policy(place, name), selector))
        });
        let peers = self.choosing(namespace);
        policies.chain(peers.map(|it| (Selecting::Peer(it.name.as_str()), &it.selector)))
    }

    /// PeerAuthentications that choose workloads of a namespace by their labels.
    fn choosing(&self, namespace: &str) -> impl Iterator<Item = &Peer> {
        // Those of the root namespace are for the whole mesh or for nobody.
        let is_root = namespace == &*self.root;
        let peers = self.peers(namespace);
        peers.filter(move |it| !is_root && !it.selector.is_empty())
    }

    /// A namespace's own policies and those of the root namespace.
    fn seen_from<'a>(
        &'a self,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a str, &'a OfNamespace)> {
        let root = Some(&*self.root).filter(|root| *root != namespace);
        let names = [Some(namespace), root].into_iter().flatten();
        let found: Vec<_> = names
            .filter_map(|name| self.by_namespace.get_key_value(name))
            .collect();
        found
            .into_iter()
            .map(|(name, policies)| (name.as_str(), policies))
    }

    /// The one policy that refuses plain text to a workload, where it or some of its ports do.
    fn plain_text_policy(&self, labels: &Labels, namespace: &str) -> Option<NamespacedName> {
        let is_strict = self.is_strict(namespace);
        let mut own = self.choosing(namespace);
        let own = own.find(|it| contains_all(labels, &it.selector));
        if let Some(own) = own.filter(|it| it.has_exceptions(is_strict)) {
            return Some(peer_authentication::converted_name(namespace, &own.name));
        }
        let is_strict = own.map_or(is_strict, |it| it.is_strict(is_strict));
        is_strict.then(|| peer_authentication::strict_name(&self.root))
    }
}

/// A policy that chooses workloads by their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selecting<'a> {
    /// An AuthorizationPolicy: its namespace, its name.
    Policy(&'a str, &'a str),
    /// A PeerAuthentication of the workload's namespace: its name.
    Peer(&'a str),
}
