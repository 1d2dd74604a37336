//! Pure. How far one client is with one type, and the next page for it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::addresses::Addresses;
use super::walk::Walk;
use super::{Page, is_guard};
use crate::publish::scope::Scope;
use crate::resources::{Resource, Table};

type Name = Arc<str>;

/// The client's place in the log lies before removals that were forgotten.
#[derive(Debug)]
pub(super) struct TooFarBehind;

/// One client's subscription to one type.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) type_url: &'static str,
    is_wildcard: bool,
    /// Whether everything is to be had.
    may_be_wildcard: bool,
    /// The walk over everything, by name, that a wildcard subscription starts with.
    walk: Option<Walk>,
    /// Every change up to here was sent; `None` before the first page.
    cursor: Option<u64>,
    /// The latest moment, as a count of changes, at which nothing was left to be sent.
    caught_up: Option<u64>,
    /// The same, and the client has answered: it holds exactly what was published at that moment, or newer.
    /// A place within the log does not say as much, since what changed twice stands only at the later place.
    settled: Option<u64>,
    /// Nonce of the push that waits for its answer.
    unanswered: Option<String>,
    /// An answer is due even if it is empty.
    owes_answer: bool,
    /// Names asked for and not yet answered.
    asked: VecDeque<Name>,
    /// What the client held of them when the stream began.
    versions: BTreeMap<String, String>,
    /// Names asked for: resources, aliases, services whose workloads are wanted too.
    wanted: HashSet<Name>,
    /// Those of them that are addresses: a range may hold them.
    addresses: Addresses,
    /// Names sent because somebody asked, or that are not for everyone; the client is told when they are gone.
    sent: HashSet<Name>,
    /// Policies that are gone, or are not for this client any more, and not yet sent as gone; with the change that did it.
    held: BTreeMap<Name, u64>,
}

impl Follow {
    pub(super) fn new(type_url: &'static str) -> Self {
        Self {
            type_url,
            is_wildcard: false,
            may_be_wildcard: false,
            walk: None,
            cursor: None,
            caught_up: None,
            settled: None,
            unanswered: None,
            owes_answer: false,
            asked: VecDeque::new(),
            versions: BTreeMap::new(),
            wanted: HashSet::new(),
            addresses: Addresses::default(),
            sent: HashSet::new(),
            held: BTreeMap::new(),
        }
    }

    /// The first request: no names or `*` mean everything, `*` taken and left nothing. Where
    /// `everything` is not to be had it is left out.
    pub(super) fn begin(
        &mut self,
        subscribe: &[String],
        unsubscribe: &[String],
        versions: BTreeMap<String, String>,
        everything: bool,
    ) {
        self.owes_answer = true;
        self.may_be_wildcard = everything;
        let wants_all = subscribe.is_empty() || has_star(subscribe) && !has_star(unsubscribe);
        if everything && wants_all {
            self.walk_all(versions);
            return;
        }
        for name in versions.keys() {
            self.ask(name.as_str().into());
        }
        self.versions = versions;
    }

    pub(super) fn subscribe(&mut self, names: Vec<String>, unsubscribe: &[String]) {
        self.owes_answer |= !names.is_empty();
        for name in names {
            if name != "*" {
                self.versions.remove(&name);
                self.ask(name.into());
            } else if self.may_be_wildcard && !self.is_wildcard && !has_star(unsubscribe) {
                self.walk_all(BTreeMap::new());
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, names: &[String]) {
        for name in names {
            if name == "*" {
                self.is_wildcard = false;
                self.walk = None;
            }
            self.wanted.remove(name.as_str());
            self.addresses.remove(name);
            self.sent.remove(name.as_str());
        }
    }

    /// How many names are kept for this client.
    pub(super) fn names(&self) -> usize {
        self.wanted.len().max(self.asked.len())
    }

    /// An answer came; `false` when it is not to the latest push.
    pub(super) fn answered(&mut self, nonce: &str) -> bool {
        if self.unanswered.as_deref() != Some(nonce) {
            return false;
        }
        self.unanswered = None;
        self.settle();
        true
    }

    /// A push was made; when it says that more follows, something will, if only an empty push.
    pub(super) fn sent(&mut self, nonce: String, more_follows: bool) {
        self.unanswered = Some(nonce);
        self.owes_answer = more_follows;
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.unanswered.is_some()
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }

    pub(super) fn settled(&self) -> Option<u64> {
        self.settled
    }

    /// Whether removals are held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether `page` must be sent: it says something, or it ends the answer to a request.
    pub(super) fn is_due(&mut self, table: &Table, page: &Page) -> bool {
        let is_answered = self.asked.is_empty() && !self.has_more(table);
        let is_due = !page.is_empty() || (self.owes_answer && is_answered);
        if !is_due {
            self.settle();
        }
        is_due
    }

    /// Whether another page of this type is there to be sent.
    pub(super) fn has_more(&self, table: &Table) -> bool {
        let is_behind = || self.cursor.is_none_or(|cursor| table.has_changes(cursor));
        self.walk.is_some() || (self.is_wildcard && is_behind())
    }

    /// Fills `page` with what comes next, up to the change `limit`.
    pub(super) fn advance(
        &mut self,
        table: &Table,
        limit: u64,
        scope: &Scope,
        page: &mut Page,
    ) -> Result<(), TooFarBehind> {
        if self.walk.is_some() {
            self.walk_on(table, limit, scope, page);
        }
        if self.walk.is_some() {
            return Ok(());
        }
        if self.cursor.is_none() {
            self.cursor = Some(limit);
            let local = scope.node.as_deref().filter(|_| !is_guard(self.type_url));
            let local = local.into_iter().flat_map(|node| table.on_node(node));
            self.asked.extend(local.map(|r| Arc::clone(&r.name)));
        }
        self.answer(table, limit, scope, page);
        self.read_log(table, limit, scope, page)
    }

    /// Notes that at the moment `head` nothing is left to be sent, if that is so.
    pub(super) fn catch_up(&mut self, table: &Table, head: u64) {
        let has_read_all = self.cursor.is_some_and(|cursor| !table.has_changes(cursor));
        if self.walk.is_none() && self.asked.is_empty() && has_read_all {
            self.caught_up = Some(head);
        }
    }

    /// Sends the removals that were held back up to the change `until`.
    pub(super) fn release(&mut self, table: &Table, until: u64, scope: &Scope, page: &mut Page) {
        if self.walk.is_some() {
            return;
        }
        self.held.retain(|name, at| {
            if *at > until || page.is_full() {
                return true;
            }
            // One that came back in the meantime is sent by the log, or was.
            if !table.find(name).is_some_and(|it| scope.sees(it)) {
                page.remove(Arc::clone(name));
            }
            false
        });
    }

    fn settle(&mut self) {
        if self.unanswered.is_none() {
            self.settled = self.caught_up;
        }
    }

    fn walk_all(&mut self, held: BTreeMap<String, String>) {
        self.is_wildcard = true;
        self.walk = Some(Walk::new(held));
    }

    fn ask(&mut self, name: Name) {
        self.wanted.insert(Arc::clone(&name));
        self.addresses.add(&name);
        self.asked.push_back(name);
    }

    fn walk_on(&mut self, table: &Table, limit: u64, scope: &Scope, page: &mut Page) {
        let Some(walk) = &mut self.walk else { return };
        let Some(until) = walk.go_on(table, limit, scope, &mut self.sent, page) else {
            return;
        };
        while let Some((name, is_scoped)) = walk.next_gone() {
            if is_guard(self.type_url) && !is_scoped {
                self.held.insert(name, until);
            } else {
                page.remove(name);
                if page.is_full() {
                    return;
                }
            }
        }
        self.cursor = Some(until);
        self.walk = None;
    }

    /// Answers names that were asked for, in order.
    fn answer(&mut self, table: &Table, limit: u64, scope: &Scope, page: &mut Page) {
        while let Some(name) = self.asked.front().cloned() {
            if page.is_full() {
                return;
            }
            let found: Vec<&Arc<Resource>> = match table.find(&name) {
                None => table.bearing(&name).filter(|it| scope.sees(it)).collect(),
                Some(found) => Some(found)
                    .filter(|it| scope.sees(it))
                    .into_iter()
                    .collect(),
            };
            if found.iter().any(|resource| resource.changed > limit) {
                return;
            }
            self.asked.pop_front();
            if found.is_empty() {
                self.sent.remove(&name);
                page.remove(name);
                continue;
            }
            // Who names no version must be answered, even with what was sent before.
            let named = self.versions.get(&*name).filter(|v| !v.is_empty()).cloned();
            for resource in found {
                let own = self.versions.get(&*resource.name).cloned();
                let held = named.as_ref().and(own.as_ref().or(named.as_ref()));
                if resource.name != name && !resource.links.aliases.contains(&name) {
                    page.name(resource, Arc::clone(&name));
                }
                self.answer_one(table, resource, held.map(String::as_str), limit, page);
            }
        }
        self.versions.clear();
    }

    /// A resource that was asked for and, when it is a service, its workloads.
    fn answer_one(
        &mut self,
        table: &Table,
        resource: &Arc<Resource>,
        held: Option<&str>,
        limit: u64,
        page: &mut Page,
    ) {
        self.sent.insert(Arc::clone(&resource.name));
        if held != Some(&resource.version_text()) {
            page.add_once(resource);
        }
        let mut is_service = false;
        for workload in table.of_service(&resource.name) {
            is_service = true;
            // Those that changed later come from the log; those sent before have come.
            let is_new = workload.changed <= limit && self.sent.insert(Arc::clone(&workload.name));
            let held = self.versions.get(&*workload.name);
            if is_new && held.is_none_or(|version| *version != workload.version_text()) {
                page.add(workload);
            }
        }
        if is_service || resource.links.services.is_empty() {
            self.wanted.insert(Arc::clone(&resource.name));
        }
    }

    fn read_log(
        &mut self,
        table: &Table,
        limit: u64,
        scope: &Scope,
        page: &mut Page,
    ) -> Result<(), TooFarBehind> {
        let cursor = self.cursor.unwrap_or(limit);
        if cursor < table.forgotten() {
            return Err(TooFarBehind);
        }
        for (at, name, resource) in table.changes(cursor, limit) {
            if page.is_full() {
                return Ok(());
            }
            match resource {
                Some(resource) if scope.sees(resource) => {
                    self.held.remove(name);
                    self.note_change(table, resource, scope, limit, page);
                }
                // Never told, it is nothing to this client.
                Some(_) if !self.sent.contains(name) => {}
                Some(_) | None => self.note_removal(at, name, table, page),
            }
            self.cursor = Some(at);
        }
        self.cursor = Some(cursor.max(limit));
        Ok(())
    }

    /// A policy that workloads name stays until they name it no longer; others go at once, before
    /// anything that is newer than their end.
    fn note_removal(&mut self, at: u64, name: &Name, table: &Table, page: &mut Page) {
        let is_told_all = self.is_wildcard && !table.is_restricted();
        let is_wanted = is_told_all || self.wanted.contains(name);
        if !self.sent.remove(name) && !is_wanted {
            return;
        }
        if is_guard(self.type_url) && !table.was_scoped(name) {
            self.held.insert(Arc::clone(name), at);
        } else {
            page.remove(Arc::clone(name));
        }
    }

    fn note_change(
        &mut self,
        table: &Table,
        resource: &Arc<Resource>,
        scope: &Scope,
        limit: u64,
        page: &mut Page,
    ) {
        if self.is_wildcard {
            if resource.audience.is_restricted() {
                self.sent.insert(Arc::clone(&resource.name));
            }
            page.add(resource);
        } else if page.resources.iter().any(|r| Arc::ptr_eq(r, resource)) {
            // The answer to a name has brought it just now.
            self.name_addresses(resource, page);
        } else if self.asked_for(resource) {
            self.name_addresses(resource, page);
            // It may be a service that did not exist when it was asked for; its workloads did.
            self.answer_one(table, resource, None, limit, page);
        } else if self.concerns(resource, scope.node.as_deref()) {
            self.sent.insert(Arc::clone(&resource.name));
            page.add(resource);
        }
    }

    /// Whether somebody asked for it by its name or by another.
    fn asked_for(&self, resource: &Resource) -> bool {
        let mut names = resource.links.aliases.iter();
        let is_wanted = |name: &Name| self.wanted.contains(name) || self.addresses.any_in(name);
        self.wanted.contains(&resource.name) || names.any(is_wanted)
    }

    /// Gives a range that has changed the addresses inside that were asked for; but for those that still
    /// wait for their answer, which may be more than this.
    fn name_addresses(&self, resource: &Resource, page: &mut Page) {
        let waiting: HashSet<&Name> = self.asked.iter().collect();
        for range in &resource.links.aliases {
            for name in self.addresses.inside(range) {
                if !waiting.contains(name) {
                    page.name(resource, Arc::clone(name));
                }
            }
        }
    }

    /// Whether it belongs to what somebody asked for, or to the client's node.
    fn concerns(&self, resource: &Resource, node: Option<&str>) -> bool {
        let links = &resource.links;
        self.sent.contains(&resource.name)
            || links.services.iter().any(|name| self.wanted.contains(name))
            || (node.is_some() && links.node.as_deref() == node)
    }
}

fn has_star(names: &[String]) -> bool {
    names.iter().any(|name| name == "*")
}
