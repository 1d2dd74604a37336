//! Compiled limits by policy, so that one policy has the same buckets wherever it holds, and keeps them while others
//! change.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use mesh::model::attached::{AttachedPolicy, PolicyBody};

use super::{Limits, Policy};
use crate::matcher::BadMatch;

/// Compiled limits by the policy they are of.
#[derive(Debug, Default)]
pub struct Registry {
    known: HashMap<String, (Arc<AttachedPolicy>, Weak<Policy>)>,
}

impl Registry {
    /// The limits of all these policies; others are left out.
    ///
    /// # Errors
    /// [`BadMatch`] with the name of the first policy that cannot be used.
    pub fn limits<'a>(
        &mut self,
        policies: impl IntoIterator<Item = &'a Arc<AttachedPolicy>>,
    ) -> Result<Limits, (String, BadMatch)> {
        let mut found = Vec::new();
        for policy in policies {
            let PolicyBody::RateLimit(limits) = &policy.body else {
                continue;
            };
            let name = policy.resource_name();
            let known = self.known.get(&name).filter(|(known, _)| known == policy);
            let compiled = match known.and_then(|(_, compiled)| compiled.upgrade()) {
                Some(compiled) => compiled,
                None => {
                    let compiled = Policy::new(policy, limits);
                    Arc::new(compiled.map_err(|error| (name.clone(), error))?)
                }
            };
            let weak = Arc::downgrade(&compiled);
            self.known.insert(name, (Arc::clone(policy), weak));
            found.push(compiled);
        }
        self.known
            .retain(|_, (_, compiled)| compiled.strong_count() > 0);
        Ok(Limits::new(found))
    }
}
