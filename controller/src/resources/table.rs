//! Pure. Resources of one type: by name, by what else they are found by, and in order of change.
//!
//! The log of changes holds each name once, at its latest change, so it is never longer than what
//! exists plus the names lately removed; those are bounded by [`TOMBSTONES`].

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use twox_hash::XxHash64;

use super::audience::Audience;
use super::index::Index;
use super::ranges::Ranges;
use super::{Name, Upsert};

/// Removed names that are remembered. A subscriber that is further behind must say what it holds.
pub const TOMBSTONES: usize = 16_384;

/// Behind the version of a policy that applies without being named.
pub const SCOPED: &str = "s";

/// What a resource is found by beside its name; only on-demand clients need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// `<network>/<ip>`, or `<network>/<ip>/<prefix>` for ranges.
    pub aliases: Vec<String>,
    /// Of a workload: names of the services it belongs to.
    pub services: Vec<String>,
    /// Of a workload: the node it runs on.
    pub node: Option<String>,
    /// Of a policy: it applies without being named, so nobody is left alone when it goes.
    pub is_scoped: bool,
}

/// [`Links`] of a published resource; texts that many share are kept once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// See [`Links::aliases`].
    pub aliases: Box<[Name]>,
    /// See [`Links::services`].
    pub services: Box<[Name]>,
    /// See [`Links::node`].
    pub node: Option<Name>,
    /// See [`Links::is_scoped`].
    pub is_scoped: bool,
}

impl Keys {
    fn equal(&self, links: &Links) -> bool {
        let same = |ours: &[Name], theirs: &[String]| {
            ours.iter()
                .map(|k| &**k)
                .eq(theirs.iter().map(String::as_str))
        };
        same(&self.aliases, &links.aliases)
            && same(&self.services, &links.services)
            && self.node.as_deref() == links.node.as_deref()
            && self.is_scoped == links.is_scoped
    }
}

/// One published resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Name,
    /// Hash of the content; printed as 16 hexadecimal digits.
    pub version: u64,
    /// The content.
    pub bytes: Bytes,
    /// What else it is found by.
    pub links: Keys,
    /// Whom it is for.
    pub audience: Audience,
    /// Number of the change that brought this version.
    pub changed: u64,
    /// [`Links::is_scoped`] of this version or of one before it, which some client may still hold.
    was_scoped: bool,
}

impl Resource {
    /// The version as it is sent. Source: docs/compat.md#resource-names.
    ///
    /// That of a policy that applies without being named ends in a mark: a client that comes back names
    /// the versions it holds, and so tells a controller that has just started what it cannot know.
    pub fn version_text(&self) -> String {
        let mark = if self.links.is_scoped { SCOPED } else { "" };
        format!("{:016x}{mark}", self.version)
    }
}

/// The resources of one type.
#[derive(Debug, Default)]
pub struct Table {
    by_name: BTreeMap<Name, Arc<Resource>>,
    /// Latest change of every name, also of those that are gone.
    log: BTreeMap<u64, Name>,
    /// Names that are gone, with the change that removed them, and whether
    /// they were those of policies that applied without being named.
    gone: HashMap<Name, (u64, bool)>,
    /// The same by change.
    gone_by_change: BTreeMap<u64, Name>,
    forgotten: u64,
    by_alias: Index,
    by_range: Ranges,
    by_service: Index,
    by_node: Index,
    /// Whether any resource was ever for some clients only.
    is_restricted: bool,
}

impl Table {
    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The resource of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Resource>> {
        self.by_name.get(name)
    }

    /// Every resource in order of name, from behind `after` on.
    pub fn after_name(&self, after: Option<&str>) -> impl Iterator<Item = &Arc<Resource>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(_, resource)| resource)
    }

    /// Names changed after `cursor` up to `limit`, in that order, each once and with what it is now.
    pub fn changes(
        &self,
        cursor: u64,
        limit: u64,
    ) -> impl Iterator<Item = (u64, &Name, Option<&Arc<Resource>>)> {
        let span = (
            Bound::Excluded(cursor),
            Bound::Included(limit.max(cursor + 1)),
        );
        self.log
            .range(span)
            .take_while(move |(at, _)| **at <= limit)
            .map(|(at, name)| (*at, name, self.by_name.get(name)))
    }

    /// Whether anything changed after `cursor`.
    pub fn has_changes(&self, cursor: u64) -> bool {
        self.log
            .last_key_value()
            .is_some_and(|(at, _)| *at > cursor)
    }

    /// Changes up to this one may lack removals: who was told less must be told what to drop by
    /// comparing with what it holds.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether a name is or was, in any version, that of a policy that applied without being named.
    pub fn was_scoped(&self, name: &str) -> bool {
        let there = self.by_name.get(name).map(|it| it.was_scoped);
        let gone = || Some(self.gone.get(name)?.1);
        there.or_else(gone).unwrap_or_default()
    }

    /// Whether any resource is, or was, for some clients only.
    pub fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// Names of resources with this alias.
    pub fn with_alias(&self, alias: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.indexed(&self.by_alias, alias)
    }

    /// Who bears the address `<network>/<ip>`: by that alias, then by ranges that hold it, the longest
    /// first. All of them: which one is meant depends on who asks, and of what namespace it is.
    pub fn bearing(&self, address: &str) -> impl Iterator<Item = &Arc<Resource>> {
        let ranges = self.by_range.holding(address);
        let ranges = ranges.filter_map(|name| self.by_name.get(name));
        self.with_alias(address).chain(ranges)
    }

    /// Workloads of this service.
    pub fn of_service(&self, service: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.indexed(&self.by_service, service)
    }

    /// Workloads on this node.
    pub fn on_node(&self, node: &str) -> impl Iterator<Item = &Arc<Resource>> {
        self.indexed(&self.by_node, node)
    }

    fn indexed<'a>(
        &'a self,
        index: &'a Index,
        key: &str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> {
        index.find(key).filter_map(|name| self.by_name.get(name))
    }

    /// Publishes a resource as change `at`; `false` when it is published already.
    pub(super) fn insert(&mut self, at: u64, upsert: Upsert) -> bool {
        let Upsert {
            name,
            bytes,
            links,
            audience,
        } = upsert;
        let old = self.by_name.get(name.as_str()).cloned();
        if let Some(old) = &old {
            if old.bytes == bytes && old.links.equal(&links) && old.audience == audience {
                return false;
            }
            self.unlink(old);
            self.log.remove(&old.changed);
        }
        let (name, was_scoped) = match old {
            Some(old) => (Arc::clone(&old.name), old.was_scoped),
            None => self.bring_back(name),
        };
        self.is_restricted |= audience.is_restricted();
        let mut hasher = XxHash64::with_seed(0);
        hasher.write(&bytes);
        let resource = Arc::new(Resource {
            name: Arc::clone(&name),
            version: hasher.finish(),
            bytes,
            links: self.link(&name, &links),
            audience,
            changed: at,
            was_scoped: was_scoped || links.is_scoped,
        });
        self.log.insert(at, Arc::clone(&name));
        self.by_name.insert(name, resource);
        true
    }

    /// Removes a resource as change `at`; `false` when there is none.
    pub(super) fn remove(&mut self, at: u64, name: &str) -> bool {
        let Some(old) = self.by_name.remove(name) else {
            return false;
        };
        self.unlink(&old);
        self.log.remove(&old.changed);
        self.log.insert(at, Arc::clone(&old.name));
        self.gone
            .insert(Arc::clone(&old.name), (at, old.was_scoped));
        self.gone_by_change.insert(at, Arc::clone(&old.name));
        while self.gone_by_change.len() > TOMBSTONES {
            let Some((at, name)) = self.gone_by_change.pop_first() else {
                break;
            };
            self.gone.remove(&name);
            self.log.remove(&at);
            self.forgotten = at;
        }
        true
    }

    /// A name that did not exist a moment ago; drops its tombstone.
    fn bring_back(&mut self, name: String) -> (Name, bool) {
        match self.gone.remove_entry(name.as_str()) {
            Some((name, (at, was_scoped))) => {
                self.log.remove(&at);
                self.gone_by_change.remove(&at);
                (name, was_scoped)
            }
            None => (name.into(), false),
        }
    }

    fn link(&mut self, name: &Name, links: &Links) -> Keys {
        for alias in &links.aliases {
            self.by_range.add(alias, name);
        }
        let all = |keys: &[String], index: &mut Index| {
            keys.iter().map(|key| index.add(key, name)).collect()
        };
        Keys {
            aliases: all(&links.aliases, &mut self.by_alias),
            services: all(&links.services, &mut self.by_service),
            node: links.node.as_deref().map(|key| self.by_node.add(key, name)),
            is_scoped: links.is_scoped,
        }
    }

    fn unlink(&mut self, resource: &Resource) {
        let Keys {
            aliases,
            services,
            node,
            is_scoped: _,
        } = &resource.links;
        for key in aliases {
            self.by_alias.remove(key, &resource.name);
            self.by_range.remove(key, &resource.name);
        }
        for key in services {
            self.by_service.remove(key, &resource.name);
        }
        if let Some(key) = node {
            self.by_node.remove(key, &resource.name);
        }
    }
}
