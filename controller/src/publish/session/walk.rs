//! Pure. The walk over everything that exists, compared with what the client holds: how a
//! wildcard subscription begins.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Page;
use crate::publish::scope::Scope;
use crate::resources::{SCOPED, Table};

/// How far the walk is.
#[derive(Debug)]
pub(super) struct Walk {
    /// What the client holds and the walk has not met yet; at the end, what is gone.
    unmet: BTreeMap<String, String>,
    /// The last name met.
    at: Option<Arc<str>>,
    /// Later changes are left to the log.
    until: Option<u64>,
}

impl Walk {
    /// A walk for a client that holds these versions.
    pub(super) fn new(held: BTreeMap<String, String>) -> Self {
        Self {
            unmet: held,
            at: None,
            until: None,
        }
    }

    /// Fills `page` with what the client lacks. Once everything was met, the change up to
    /// which that holds. Names of what is not for everyone, and the client holds now, are added to `sent`.
    pub(super) fn go_on(
        &mut self,
        table: &Table,
        limit: u64,
        scope: &Scope,
        sent: &mut HashSet<Arc<str>>,
        page: &mut Page,
    ) -> Option<u64> {
        let until = *self.until.get_or_insert(limit);
        let from = self.at.clone();
        for resource in table.after_name(from.as_deref()) {
            if page.is_full() {
                return None;
            }
            self.at = Some(Arc::clone(&resource.name));
            if !scope.sees(resource) {
                continue;
            }
            let held = self.unmet.remove(&*resource.name);
            let is_known = held
                .as_ref()
                .is_some_and(|version| *version == resource.version_text());
            let is_new = !is_known && resource.changed <= until;
            if resource.audience.is_restricted() && (is_new || held.is_some()) {
                sent.insert(Arc::clone(&resource.name));
            }
            if is_new {
                page.add(resource);
            }
        }
        Some(until)
    }

    /// Once everything was met: the next name that the client holds and that is gone, and whether
    /// its version says that it is a policy that applies without being named.
    pub(super) fn next_gone(&mut self) -> Option<(Arc<str>, bool)> {
        let (name, version) = self.unmet.pop_first()?;
        Some((name.into(), version.ends_with(SCOPED)))
    }
}
