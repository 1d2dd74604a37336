//! Pure. The delta state of one client: what we asked for, what we hold, what to say next.
//!
//! In: streams that begin, responses, names somebody wants. Out: requests, and what to apply.
//! Twin of `controller::publish::session`. Source: contract, docs/compat.md#delta-discovery.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt::Write;

use bytes::Bytes;

use super::node::MORE_FOLLOWS;

/// Names of things that do not exist for which a subscription is kept; beyond, the oldest is given up.
pub const ABSENT_NAMES: usize = 16_384;
/// Names for which a subscription is kept because something else was found by them: a range is by each
/// address inside. Beyond, the oldest is given up, and asked for again by whoever needs it.
pub const FOUND_NAMES: usize = 32_768;
/// Names that may wait for their first answer at a time.
pub const PENDING_NAMES: usize = 65_536;
/// Reasons named in one refusal; the rest is only counted.
const REASONS_IN_REFUSAL: usize = 64;

/// The version we name of what we could not take; no resource has it.
pub const REFUSED: &str = "refused";

/// How much of a type we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything.
    Wildcard,
    /// Only names that were asked for.
    OnDemand,
}

/// One type of resource and how much of it we want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Type URL.
    pub type_url: &'static str,
    /// How much of it.
    pub mode: Mode,
}

/// What we say: the fields of a delta request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Type URL.
    pub type_url: String,
    /// Whether it is the first of its type on this stream, which carries the node.
    pub is_first: bool,
    /// Names to begin with.
    pub subscribe: Vec<String>,
    /// Names to stop with.
    pub unsubscribe: Vec<String>,
    /// What we hold already, with versions.
    pub initial_versions: BTreeMap<String, String>,
    /// The response this answers; empty for none.
    pub nonce: String,
    /// Why that response was not taken in full.
    pub refusal: Option<String>,
}

/// What we hear: the fields of a delta response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Type URL.
    pub type_url: String,
    /// To be named in the answer.
    pub nonce: String,
    /// Version of the whole.
    pub version: String,
    /// New and changed resources.
    pub resources: Vec<Resource>,
    /// Names that are gone.
    pub removed: Vec<String>,
}

/// One resource as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Other names it answers to.
    pub aliases: Vec<String>,
    /// Type URL of the content; `None` when the message had no content at all.
    pub content: Option<(String, Bytes)>,
}

/// What a response asks us to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A type we did not subscribe to: say thanks and do nothing.
    Ignored(Request),
    /// Apply this, then call [`Session::settle`].
    Apply(Delivery),
}

/// New and gone resources of one type; no name is in both lists.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Type URL.
    pub type_url: &'static str,
    /// New and changed resources.
    pub resources: Vec<(String, Bytes)>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// To be handed back to [`Session::settle`].
    pub receipt: Receipt,
}

/// What the session must remember of a delivery until it is applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    index: usize,
    nonce: String,
    more_follows: bool,
    names: Vec<(String, Version, Vec<String>)>,
    removed: Vec<String>,
    refused: Vec<(String, String)>,
}

/// What follows from a delivery that was applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// The answer to send.
    pub request: Request,
    /// Names and aliases that waiters may have been waiting for.
    pub answered: Vec<String>,
    /// Resources refused, with reasons.
    pub refused: Vec<(String, String)>,
}

/// What asking for a name leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Send this and wait.
    Send(Request),
    /// It was asked for before: only wait.
    Wait,
    /// It was answered before, and the controller keeps us informed: look again.
    Answered,
    /// Too many names wait already, or the type is not on demand.
    Refused,
}

impl Receipt {
    /// Names of what came without content that could be read at all.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        self.refused.iter().map(|(name, _)| name.as_str())
    }

    /// Notes what came; returns what has content of the right type.
    fn list(&mut self, resources: Vec<Resource>, type_url: &str) -> Vec<(String, Bytes)> {
        let mut good = Vec::with_capacity(resources.len());
        for resource in resources {
            let Resource {
                name,
                version,
                aliases,
                content,
            } = resource;
            match content {
                Some((content_type, bytes)) if content_type == type_url => {
                    self.names
                        .push((name.clone(), Version::new(&version), aliases));
                    good.push((name, bytes));
                }
                Some((content_type, _)) => {
                    self.refused
                        .push((name, format!("content is a {content_type}")));
                }
                None => self
                    .refused
                    .push((name, "resource has no content".to_owned())),
            }
        }
        good
    }
}

/// A version as the controller named it; the usual form, 16 hexadecimal digits, takes no heap.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Version {
    Hash(u64),
    Text(Box<str>),
}

impl Version {
    fn new(text: &str) -> Self {
        match u64::from_str_radix(text, 16) {
            Ok(hash) if format!("{hash:016x}") == text => Self::Hash(hash),
            _ => Self::Text(text.into()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Hash(hash) => format!("{hash:016x}"),
            Self::Text(text) => text.to_string(),
        }
    }
}

/// The state of every subscription of one client. It outlives streams.
#[derive(Debug)]
pub struct Session {
    types: Vec<Held>,
}

/// State of one type.
#[derive(Debug)]
struct Held {
    subscription: Subscription,
    is_complete: bool,
    /// Version of every resource we hold, by name.
    versions: HashMap<Box<str>, Version>,
    /// Names of what was refused and is not held in an earlier version.
    refused: HashSet<Box<str>>,
    /// On demand: asked for, not yet answered.
    pending: HashSet<Box<str>>,
    /// On demand: names that are aliases of resources we hold.
    aliases: HashMap<Box<str>, Box<str>>,
    aliases_order: VecDeque<Box<str>>,
    /// On demand: asked for and told that there is none; oldest first.
    absent: HashSet<Box<str>>,
    absent_order: VecDeque<Box<str>>,
}

impl Session {
    /// A client that holds nothing yet.
    pub fn new(subscriptions: impl IntoIterator<Item = Subscription>) -> Self {
        let held = |subscription| Held {
            subscription,
            is_complete: false,
            versions: HashMap::new(),
            refused: HashSet::new(),
            pending: HashSet::new(),
            aliases: HashMap::new(),
            aliases_order: VecDeque::new(),
            absent: HashSet::new(),
            absent_order: VecDeque::new(),
        };
        Self {
            types: subscriptions.into_iter().map(held).collect(),
        }
    }

    /// A stream begins: one request per type, with what we hold.
    pub fn connect(&self) -> Vec<Request> {
        self.types.iter().map(Held::first_request).collect()
    }

    /// A response came. Content of the wrong type is refused here; the rest is for the caller to apply.
    pub fn take(&self, response: Response) -> Taken {
        let Response {
            type_url,
            nonce,
            version,
            resources,
            removed,
        } = response;
        let found = self
            .types
            .iter()
            .enumerate()
            .find(|(_, t)| t.subscription.type_url == type_url);
        let Some((index, held)) = found else {
            return Taken::Ignored(Request {
                type_url,
                nonce,
                ..Request::default()
            });
        };
        let mut receipt = Receipt {
            index,
            nonce,
            more_follows: version.ends_with(MORE_FOLLOWS),
            names: Vec::with_capacity(resources.len()),
            removed: Vec::new(),
            refused: Vec::new(),
        };
        let good = receipt.list(resources, &type_url);
        let present: HashSet<&str> = good.iter().map(|(name, _)| name.as_str()).collect();
        let removed: Vec<String> = removed
            .into_iter()
            .filter(|name| !present.contains(name.as_str()))
            .collect();
        receipt.removed.clone_from(&removed);
        let type_url = held.subscription.type_url;
        Taken::Apply(Delivery {
            type_url,
            resources: good,
            removed,
            receipt,
        })
    }

    /// A delivery was applied but for `refused`: remember what we hold now, and answer.
    ///
    /// What was refused keeps the version that is still held, if there is one, so that after a
    /// reconnect the controller sends the refused version again, or says that the name is gone.
    pub fn settle(&mut self, receipt: Receipt, refused: Vec<(String, String)>) -> Option<Settled> {
        let Receipt {
            index,
            nonce,
            more_follows,
            names,
            removed,
            refused: mut all_refused,
        } = receipt;
        let held = self.types.get_mut(index)?;
        all_refused.extend(refused);
        let bad: HashSet<&str> = all_refused.iter().map(|(name, _)| name.as_str()).collect();
        for name in &bad {
            if !held.versions.contains_key(*name) {
                held.refused.insert((*name).into());
            }
        }
        let mut answered = Vec::new();
        for name in removed {
            held.forget(&name);
            answered.push(name);
        }
        for (name, version, aliases) in names {
            if !bad.contains(name.as_str()) {
                held.remember(&name, version, &aliases);
            }
            for alias in aliases {
                held.pending.remove(alias.as_str());
                answered.push(alias);
            }
            held.pending.remove(name.as_str());
            answered.push(name);
        }
        held.is_complete |= !more_follows;
        let request = Request {
            type_url: held.subscription.type_url.to_owned(),
            unsubscribe: held.give_up(),
            nonce,
            refusal: refusal(&all_refused),
            ..Request::default()
        };
        Some(Settled {
            request,
            answered,
            refused: all_refused,
        })
    }

    /// Somebody wants one name of an on-demand type.
    pub fn ask(&mut self, type_url: &str, name: &str) -> Asked {
        let Some(held) = self
            .types
            .iter_mut()
            .find(|t| t.subscription.type_url == type_url)
        else {
            return Asked::Refused;
        };
        if held.subscription.mode == Mode::Wildcard {
            return Asked::Answered;
        }
        if held.pending.contains(name) {
            return Asked::Wait;
        }
        if held.versions.contains_key(name)
            || held.aliases.contains_key(name)
            || held.absent.contains(name)
        {
            return Asked::Answered;
        }
        if held.pending.len() >= PENDING_NAMES {
            return Asked::Refused;
        }
        held.pending.insert(name.into());
        Asked::Send(Request {
            type_url: type_url.to_owned(),
            subscribe: vec![name.to_owned()],
            ..Request::default()
        })
    }

    /// Whether every wildcard type has been received in full at least once.
    pub fn is_ready(&self) -> bool {
        self.types
            .iter()
            .all(|t| t.is_complete || t.subscription.mode == Mode::OnDemand)
    }

    /// How many resources of a type are held.
    pub fn held(&self, type_url: &str) -> usize {
        let found = self
            .types
            .iter()
            .find(|t| t.subscription.type_url == type_url);
        found.map_or(0, |t| t.versions.len())
    }
}

impl Held {
    fn first_request(&self) -> Request {
        let mut initial_versions: BTreeMap<String, String> = self
            .versions
            .iter()
            .map(|(name, v)| (name.to_string(), v.text()))
            .collect();
        for name in self.pending.iter().chain(&self.absent) {
            initial_versions.entry(name.to_string()).or_default();
        }
        // So that we are told when it is gone, or sent again what it is now.
        for name in &self.refused {
            let version = initial_versions.entry(name.to_string()).or_default();
            REFUSED.clone_into(version);
        }
        // What was found by another name stays subscribed to by it: something else may come to bear it.
        for (alias, holder) in &self.aliases {
            if let Some(version) = self.versions.get(holder) {
                initial_versions.insert(alias.to_string(), version.text());
            }
        }
        // Subscribing to and leaving `*` in one message means "explicitly nothing".
        let star = match self.subscription.mode {
            Mode::Wildcard => Vec::new(),
            Mode::OnDemand => vec!["*".to_owned()],
        };
        Request {
            type_url: self.subscription.type_url.to_owned(),
            is_first: true,
            subscribe: star.clone(),
            unsubscribe: star,
            initial_versions,
            ..Request::default()
        }
    }

    fn remember(&mut self, name: &str, version: Version, aliases: &[String]) {
        self.versions.insert(name.into(), version);
        self.refused.remove(name);
        self.absent.remove(name);
        for alias in aliases {
            // Only what was asked for by this alias: the others would be memory for nothing.
            if self.pending.contains(alias.as_str()) || self.absent.remove(alias.as_str()) {
                let known = self.aliases.insert(alias.as_str().into(), name.into());
                if known.is_none() {
                    self.aliases_order.push_back(alias.as_str().into());
                }
            }
        }
    }

    fn forget(&mut self, name: &str) {
        let was_pending = self.pending.remove(name);
        self.refused.remove(name);
        if self.versions.remove(name).is_some() {
            // What was found by another name must be asked for again: something else may bear it next.
            self.aliases.retain(|_, target| &**target != name);
        }
        let is_wanted = was_pending && self.subscription.mode == Mode::OnDemand;
        if is_wanted && self.absent.insert(name.into()) {
            self.absent_order.push_back(name.into());
        }
    }

    /// Names known to be absent, and those by which something else was found, are kept up to a bound;
    /// those given up are unsubscribed from.
    fn give_up(&mut self) -> Vec<String> {
        let mut given_up = Vec::new();
        while self.absent_order.len() > ABSENT_NAMES {
            let Some(name) = self.absent_order.pop_front() else {
                break;
            };
            if self.absent.remove(&name) {
                given_up.push(name.into());
            }
        }
        while self.aliases_order.len() > FOUND_NAMES {
            let Some(name) = self.aliases_order.pop_front() else {
                break;
            };
            if self.aliases.remove(&name).is_some() {
                given_up.push(name.into());
            }
        }
        given_up
    }
}

/// `<name>: <reason>; <name>: <reason>`, cut after a number of reasons.
fn refusal(refused: &[(String, String)]) -> Option<String> {
    let (first, rest) = refused.split_first()?;
    let mut text = format!("{}: {}", first.0, first.1);
    for (name, reason) in rest.iter().take(REASONS_IN_REFUSAL - 1) {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {name}: {reason}");
    }
    if let Some(more) = refused
        .len()
        .checked_sub(REASONS_IN_REFUSAL)
        .filter(|n| *n > 0)
    {
        let _ = write!(text, "; and {more} more");
    }
    Some(text)
}

#[cfg(test)]
mod tests;
