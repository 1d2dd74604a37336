//! Pure. What to ask the API server next about one kind, upon what it said last.
//!
//! ```text
//! seek    which version of the kind is served?   (custom resources alone; asked again now and then while none is)
//! list    everything, page by page, or as a stream that ends in a bookmark
//! watch   what changed since
//! wait    before the same again, longer with every failure in a row
//! ```
//!
//! Source: Kubernetes API concepts, "Efficient detection of changes", "Streaming lists", "Retrieving large results sets
//! in chunks", "410 Gone responses". Events of one kind come in the order of their resource versions, so an event that
//! is not later than where we are was said before, or too late.

use std::cmp::Ordering;
use std::time::Duration;

use crate::api::{Meaning, Refusal};
use crate::kinds::KindFacts;

/// The first pause after a failure; doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause after failures.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// The longest that a server can ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(120);
/// How often a kind that is not served is looked for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How often in a row a kind must be found not served before its objects count as gone: an API server that starts
/// may not know its custom resources yet, and a policy that goes opens doors.
const MISSED: u32 = 3;
/// A watch that ends sooner than this is counted as a failure, so that nobody asks in a circle.
const TOO_SHORT: Duration = Duration::from_secs(1);

/// Follows one kind.
#[derive(Clone, Debug)]
pub(super) struct Follow {
    facts: &'static KindFacts,
    at: At,
    /// Whether lists are asked for as streams; given up for good when the server refuses them.
    streams: bool,
    pause: Option<Duration>,
    failures: u32,
    missed: u32,
    /// Whether a list was ever complete, so that there may be objects to lose.
    listed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Seek {
        candidate: usize,
    },
    List {
        version: &'static str,
        more: Option<String>,
    },
    Stream {
        version: &'static str,
    },
    Watch {
        version: &'static str,
        since: String,
    },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Let this time pass.
    Wait(Duration),
    /// Ask whether this version is served.
    Seek(&'static str),
    /// Ask for a page of the list: the first, or the one after what `more` says.
    List {
        version: &'static str,
        more: Option<String>,
    },
    /// Ask for everything as a stream, and stay for what changes.
    Stream { version: &'static str },
    /// Ask for what changed since.
    Watch {
        version: &'static str,
        since: String,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) enum Heard<'a> {
    /// Whether the version is served.
    Served(bool),
    /// A page, as of a resource version, and what to ask for the next one with.
    Page {
        as_of: &'a str,
        more: Option<String>,
    },
    /// An object in a stream.
    Event { is_deletion: bool, as_of: &'a str },
    /// A bookmark; whether it ends what a streamed list begins with.
    Bookmark { as_of: &'a str, is_end: bool },
    /// The stream has ended after this time.
    Ended(Duration),
    /// A streamed list says nothing: the server does not know what we ask.
    Silent,
    /// No.
    Refused(&'a Refusal),
}

/// What it means for what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// The object of the event is as it says.
    Put,
    /// The object of the event is gone.
    Remove,
    /// Everything that exists has been said since the list began; what was not mentioned is gone.
    Whole,
    /// The kind is not served: nothing of it exists.
    Nothing,
}

impl Follow {
    pub(super) fn new(facts: &'static KindFacts) -> Follow {
        let mut follow = Follow {
            facts,
            at: At::Seek { candidate: 0 },
            streams: true,
            pause: None,
            failures: 0,
            missed: 0,
            listed: false,
        };
        follow.seek();
        follow
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// What to do next. A wait is over when it was handed out.
    pub(super) fn step(&mut self) -> Step {
        if let Some(pause) = self.pause.take() {
            return Step::Wait(pause);
        }
        match &self.at {
            At::Seek { candidate } => Step::Seek(self.candidate(*candidate).unwrap_or("v1")),
            At::List { version, more } => Step::List {
                version,
                more: more.clone(),
            },
            At::Stream { version } => Step::Stream { version },
            At::Watch { version, since } => Step::Watch {
                version,
                since: since.clone(),
            },
        }
    }

    /// Takes in what came of the last step; `chance` is random between 0 and 1.
    pub(super) fn heard(&mut self, heard: &Heard<'_>, chance: f64) -> Effect {
        match heard {
            Heard::Served(is_served) => return self.served(*is_served, chance),
            Heard::Page { as_of, more } => return self.page(as_of, more.clone()),
            Heard::Event { is_deletion, as_of } => return self.event(*is_deletion, as_of),
            Heard::Bookmark { as_of, is_end } => return self.bookmark(as_of, *is_end),
            Heard::Ended(after) => {
                let is_whole = matches!(self.at, At::Watch { .. });
                match is_whole && *after >= TOO_SHORT {
                    true => self.failures = 0,
                    false => self.fail(None, chance),
                }
            }
            Heard::Silent => {
                self.streams = false;
                self.list();
            }
            Heard::Refused(refusal) => return self.refused(refusal, chance),
        }
        Effect::None
    }

    fn candidate(&self, index: usize) -> Option<&'static str> {
        self.facts.versions.get(index).copied()
    }

    /// Kubernetes' own kinds are always served.
    fn is_built_in(&self) -> bool {
        let group = self.facts.group;
        !group.contains('.') || (group.ends_with(".k8s.io") && group != "gateway.networking.k8s.io")
    }

    fn version(&self) -> &'static str {
        match &self.at {
            At::Seek { candidate } => self.candidate(*candidate).unwrap_or("v1"),
            At::List { version, .. } | At::Stream { version } | At::Watch { version, .. } => {
                version
            }
        }
    }

    fn seek(&mut self) {
        self.at = At::Seek { candidate: 0 };
        if self.is_built_in() {
            self.list();
        }
    }

    fn list(&mut self) {
        let version = self.version();
        self.at = match self.streams {
            true => At::Stream { version },
            false => At::List {
                version,
                more: None,
            },
        };
    }

    fn served(&mut self, is_served: bool, chance: f64) -> Effect {
        let At::Seek { candidate } = self.at else {
            return Effect::None;
        };
        if is_served {
            self.missed = 0;
            self.list();
            return Effect::None;
        }
        if self.candidate(candidate + 1).is_some() {
            self.at = At::Seek {
                candidate: candidate + 1,
            };
            return Effect::None;
        }
        self.at = At::Seek { candidate: 0 };
        self.missed = self.missed.saturating_add(1);
        if self.listed && self.missed < MISSED {
            self.pause = Some(pause(self.missed, chance).max(FIRST_PAUSE));
            return Effect::None;
        }
        (self.failures, self.listed) = (0, false);
        self.pause = Some(LOOK_AGAIN.mul_f64(0.75 + chance / 2.0));
        Effect::Nothing
    }

    fn page(&mut self, as_of: &str, more: Option<String>) -> Effect {
        self.failures = 0;
        let version = self.version();
        if more.is_some() {
            self.at = At::List { version, more };
            return Effect::None;
        }
        self.whole(as_of)
    }

    fn whole(&mut self, as_of: &str) -> Effect {
        (self.failures, self.missed, self.listed) = (0, 0, true);
        self.at = At::Watch {
            version: self.version(),
            since: as_of.to_owned(),
        };
        Effect::Whole
    }

    fn event(&mut self, is_deletion: bool, as_of: &str) -> Effect {
        if let At::Watch { since, .. } = &mut self.at {
            if !is_later(as_of, since) {
                return Effect::None;
            }
            as_of.clone_into(since);
            self.failures = 0;
        }
        match is_deletion {
            true => Effect::Remove,
            false => Effect::Put,
        }
    }

    fn bookmark(&mut self, as_of: &str, is_end: bool) -> Effect {
        match &mut self.at {
            At::Stream { .. } if is_end => return self.whole(as_of),
            At::Watch { since, .. } if is_later(as_of, since) => as_of.clone_into(since),
            _ => {}
        }
        Effect::None
    }

    fn refused(&mut self, refusal: &Refusal, chance: f64) -> Effect {
        match refusal.meaning() {
            // It was there: another version, or gone, or the server does not know it yet.
            Meaning::Unserved | Meaning::Absent => match &self.at {
                At::Seek { .. } => return self.served(false, chance),
                _ if self.is_built_in() => self.fail(refusal.retry_after, chance),
                _ => self.seek(),
            },
            Meaning::Invalid if matches!(self.at, At::Stream { .. }) => {
                self.streams = false;
                self.list();
            }
            // Also what cannot be understood may be well after another list.
            Meaning::Expired | Meaning::Invalid => {
                self.list();
                self.fail(refusal.retry_after, chance);
            }
            Meaning::Conflict | Meaning::Forbidden | Meaning::Later => {
                self.fail(refusal.retry_after, chance);
            }
        }
        Effect::None
    }

    /// The same again, after a while. Half a list is worth nothing: it begins anew.
    fn fail(&mut self, wish: Option<Duration>, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        let least = wish.unwrap_or_default().min(LONGEST_WISH);
        self.pause = Some(least + pause(self.failures, chance));
        if matches!(self.at, At::List { .. }) {
            self.list();
        }
    }
}

/// How long after so many failures in a row; `chance` between 0 and 1 spreads many clients over half of it.
fn pause(failures: u32, chance: f64) -> Duration {
    let factor = 1_u32 << failures.saturating_sub(1).min(10);
    let longest = FIRST_PAUSE.saturating_mul(factor).min(LAST_PAUSE);
    longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// Whether a resource version is later than another. They are decimal numbers of any length; what is not is only
/// compared for being the same. Source: Kubernetes API concepts, "Resource versions".
fn is_later(one: &str, other: &str) -> bool {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(one) || !is_number(other) {
        return one != other;
    }
    let order = one.len().cmp(&other.len()).then_with(|| one.cmp(other));
    order == Ordering::Greater
}

#[cfg(test)]
mod tests;
