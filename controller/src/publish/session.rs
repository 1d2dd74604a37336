//! Pure. The delta state of one client; what to send next.
//!
//! In: requests, the published tables, the time since the stream began. Out: pushes.
//! Twin of `mesh::xds::session`. Source: docs/compat.md#delta-discovery; for the order of policies
//! and addresses see the recipe, `publish`.

mod follow;
mod addresses;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proto::type_urls;

use super::scope::Scope;
use crate::resources::{Published, Resource};
use follow::Follow;

/// How long a client may take to ask for policies before it counts as not wanting any.
pub const GRACE: Duration = Duration::from_secs(1);
/// Names that one client may ask for by name.
pub const NAMES: usize = 200_000;

/// Types of policies, each with the types of what they protect.
const GUARDS: [(&str, &[&str]); 2] = [
    (
        type_urls::AUTHORIZATION,
        &[type_urls::ADDRESS, type_urls::WORKLOAD],
    ),
    (type_urls::ROUTE_POLICY, &[type_urls::SERVICE_ROUTES]),
];

/// What a client says: the fields of a delta request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Type URL.
    pub type_url: String,
    /// Names to begin with.
    pub subscribe: Vec<String>,
    /// Names to stop with.
    pub unsubscribe: Vec<String>,
    /// What it holds already, with versions.
    pub initial_versions: BTreeMap<String, String>,
    /// The push this answers; empty for none.
    pub nonce: String,
    /// Why that push was not taken in full.
    pub refusal: Option<String>,
}

/// What a request meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It asks for something.
    Subscribed,
    /// The latest push of this type was taken.
    Acked(&'static str),
    /// The latest push of this type was not taken in full. It is not sent again: the same bytes
    /// would be refused again.
    Nacked(&'static str, String),
    /// It answers an older push; its answer means nothing now.
    Stale(&'static str),
    /// It asks for a type that is not served to this client.
    Unserved(String),
    /// It asks for too many names; the stream must end.
    TooManyNames,
}

/// One response to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Type URL.
    pub type_url: &'static str,
    /// To be named in the answer.
    pub nonce: String,
    /// Number of the latest change there is, for logs.
    pub head: u64,
    /// More of this type follows as soon as this is answered.
    pub more_follows: bool,
    /// New and changed resources.
    pub resources: Vec<Arc<Resource>>,
    /// Whether aliases are sent: only to clients that ask by name.
    pub with_aliases: bool,
    /// By name of a resource: further aliases, the addresses inside its ranges that were asked for. Who
    /// asks waits for an answer of exactly that name.
    pub asked: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Names that are gone.
    pub removed: Vec<Arc<str>>,
}

impl Push {
    /// Every alias that is sent with `resource`.
    pub fn aliases(&self, resource: &Resource) -> Vec<String> {
        if !self.with_aliases {
            return Vec::new();
        }
        let asked = self.asked.get(&resource.name).into_iter().flatten();
        let all = resource.links.aliases.iter().chain(asked);
        all.map(ToString::to_string).collect()
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this, then ask again.
    Push(Push),
    /// Nothing before a request or a change comes.
    Wait,
    /// The same, or until this long after the stream began.
    WaitUntil(Duration),
    /// The client is so far behind that removals were forgotten: end the stream, so that it comes back
    /// and says what it holds.
    TooFarBehind,
}

/// How much goes into one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// Most resources and removed names.
    pub entries: usize,
    /// Most bytes of content; a single resource may be larger.
    pub bytes: usize,
}

impl PageSize {
    /// For clients that understand pages.
    pub const PAGED: Self = Self {
        entries: 4_096,
        bytes: 2 << 20,
    };
    /// For clients that take the first response for the whole; they read up to 200 MiB.
    pub const WHOLE: Self = Self {
        entries: usize::MAX,
        bytes: 128 << 20,
    };
}

/// What was sent of one type on one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Responses.
    pub pushes: u64,
    /// Resources in them.
    pub resources: u64,
    /// Names sent as gone.
    pub removed: u64,
}

/// The state of every subscription on one stream.
#[derive(Debug)]
pub struct Session {
    scope: Scope,
    page: PageSize,
    /// In the order of `scope.types`: policies before what they protect.
    follows: Vec<Follow>,
    pushes: u64,
    sent: BTreeMap<&'static str, Sent>,
}

impl Session {
    /// A client that has asked for nothing yet.
    pub fn new(scope: Scope, page: PageSize) -> Self {
        Self {
            scope,
            page,
            follows: Vec::new(),
            pushes: 0,
            sent: BTreeMap::new(),
        }
    }

    /// What was sent so far, by type URL.
    pub fn sent(&self) -> &BTreeMap<&'static str, Sent> {
        &self.sent
    }

    /// A request came.
    pub fn receive(&mut self, request: Request) -> Heard {
        let rank = |type_url: &str| self.scope.types.iter().position(|t| *t == type_url);
        let Some(wanted) = rank(&request.type_url) else {
            return Heard::Unserved(request.type_url.chars().take(128).collect());
        };
        let place = self
            .follows
            .binary_search_by_key(&Some(wanted), |f| rank(f.type_url));
        let is_first = place.is_err();
        let index = place.unwrap_or_else(|index| index);
        if let (true, Some(type_url)) = (is_first, self.scope.types.get(wanted)) {
            self.follows.insert(index, Follow::new(type_url));
        }
        let Some(follow) = self.follows.get_mut(index) else {
            return Heard::Subscribed;
        };
        let Request {
            subscribe,
            unsubscribe,
            initial_versions,
            nonce,
            refusal,
            ..
        } = request;
        let heard = if is_first || nonce.is_empty() {
            Heard::Subscribed
        } else if !follow.answered(&nonce) {
            Heard::Stale(follow.type_url)
        } else if let Some(reason) = refusal {
            Heard::Nacked(follow.type_url, reason)
        } else {
            Heard::Acked(follow.type_url)
        };
        if is_first {
            let everything = !self.scope.only_by_name.contains(&follow.type_url);
            follow.begin(&subscribe, &unsubscribe, initial_versions, everything);
        }
        follow.unsubscribe(&unsubscribe);
        follow.subscribe(subscribe, &unsubscribe);
        if follow.names() > NAMES {
            return Heard::TooManyNames;
        }
        heard
    }

    /// What to send next, `elapsed` after the stream began.
    pub fn next(&mut self, published: &Published, elapsed: Duration) -> Next {
        if !published.is_complete() {
            return Next::Wait;
        }
        let is_late = elapsed >= GRACE;
        loop {
            let before: Vec<Option<u64>> = self.follows.iter().map(Follow::settled).collect();
            let mut must_wait = false;
            for index in 0..self.follows.len() {
                match self.next_of(index, published, is_late) {
                    Next::Wait => {}
                    Next::WaitUntil(_) => must_wait = true,
                    found @ (Next::Push(_) | Next::TooFarBehind) => return found,
                }
            }
            if !self.follows.iter().map(Follow::settled).eq(before) {
                // One type came further without a push, which may set another free.
                continue;
            }
            return if must_wait && !is_late {
                Next::WaitUntil(GRACE)
            } else {
                Next::Wait
            };
        }
    }

    /// What to send next of one type.
    fn next_of(&mut self, index: usize, published: &Published, is_late: bool) -> Next {
        let limit = self.limit(index, published, is_late);
        let release = self.release(index, is_late);
        let Some(follow) = self.follows.get_mut(index) else {
            return Next::Wait;
        };
        let (Some(table), false) = (published.table(follow.type_url), follow.is_waiting()) else {
            return Next::Wait;
        };
        let Some(limit) = limit else {
            return Next::WaitUntil(GRACE);
        };
        let mut page = Page::new(self.page);
        if follow
            .advance(table, limit, &self.scope, &mut page)
            .is_err()
        {
            return Next::TooFarBehind;
        }
        follow.catch_up(table, published.head());
        if let Some(release) = release {
            follow.release(table, release, &self.scope, &mut page);
        }
        if !follow.is_due(table, &page) {
            let is_held = release.is_none() && follow.holds();
            return if is_held {
                Next::WaitUntil(GRACE)
            } else {
                Next::Wait
            };
        }
        self.pushes += 1;
        let nonce = format!("{:x}", self.pushes);
        let sent = self.sent.entry(follow.type_url).or_default();
        sent.pushes += 1;
        sent.resources += page.resources.len() as u64;
        sent.removed += page.removed.len() as u64;
        let more_follows = follow.has_more(table);
        follow.sent(nonce.clone(), more_follows);
        Next::Push(Push {
            type_url: follow.type_url,
            nonce,
            head: published.head(),
            more_follows,
            resources: page.resources,
            with_aliases: !follow.is_wildcard(),
            asked: page.asked,
            removed: page.removed,
        })
    }

    /// Up to which change this type may be sent now; `None` for not at all.
    fn limit(&self, index: usize, published: &Published, is_late: bool) -> Option<u64> {
        let type_url = self.follows.get(index)?.type_url;
        let guard = GUARDS.iter().find(|(_, them)| them.contains(&type_url));
        let guard = guard.filter(|(guard, _)| self.scope.types.contains(guard));
        let Some((guard, _)) = guard else {
            return Some(published.head());
        };
        match self.find(guard) {
            Some(policies) => policies.settled(),
            None => is_late.then(|| published.head()),
        }
    }

    /// Up to which change removals that are held back may be sent now; `None` for not at all.
    fn release(&self, index: usize, is_late: bool) -> Option<u64> {
        let type_url = self.follows.get(index)?.type_url;
        let Some((_, them)) = GUARDS.iter().find(|(guard, _)| *guard == type_url) else {
            return Some(u64::MAX);
        };
        let mut protected = them.iter().filter_map(|t| self.find(t)).peekable();
        if protected.peek().is_none() {
            return is_late.then_some(u64::MAX);
        }
        protected.map(Follow::settled).min().flatten()
    }

    fn find(&self, type_url: &str) -> Option<&Follow> {
        self.follows.iter().find(|f| f.type_url == type_url)
    }
}

/// Whether a type is one of policies, whose removals wait for what they protect.
fn is_guard(type_url: &str) -> bool {
    GUARDS.iter().any(|(guard, _)| *guard == type_url)
}

/// A push being filled.
#[derive(Debug)]
struct Page {
    size: PageSize,
    bytes: usize,
    resources: Vec<Arc<Resource>>,
    /// Names of those that were added as answers.
    answers: HashSet<Arc<str>>,
    /// See [`Push::asked`].
    asked: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    removed: Vec<Arc<str>>,
}

impl Page {
    fn new(size: PageSize) -> Self {
        Self {
            size,
            bytes: 0,
            resources: Vec::new(),
            answers: HashSet::new(),
            asked: BTreeMap::new(),
            removed: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.size.bytes
            || self.resources.len() + self.removed.len() >= self.size.entries
    }

    fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.removed.is_empty()
    }

    fn add(&mut self, resource: &Arc<Resource>) {
        self.bytes += resource.bytes.len() + resource.name.len();
        self.resources.push(Arc::clone(resource));
    }

    /// The same for an answer: many addresses that were asked for may lie in one range.
    fn add_once(&mut self, resource: &Arc<Resource>) {
        if self.answers.insert(Arc::clone(&resource.name)) {
            self.add(resource);
        }
    }

    /// Another alias for `resource`, which is to be added.
    fn name(&mut self, resource: &Resource, alias: Arc<str>) {
        self.bytes += alias.len();
        let aliases = self.asked.entry(Arc::clone(&resource.name)).or_default();
        aliases.insert(alias);
    }

    fn remove(&mut self, name: Arc<str>) {
        self.bytes += name.len();
        self.removed.push(name);
    }
}

#[cfg(test)]
mod tests;
