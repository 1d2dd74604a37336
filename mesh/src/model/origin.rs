//! Where a rule came from: the user's object that a translated resource stands for.

use std::fmt;
use std::sync::Arc;

/// The user's object (and the rule in it) behind a workload, service, policy or route.
///
/// Travels over the wire as an extension of the public messages, so that logs, denials and
/// `weft explain` can name what the user wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Kind of the object, e.g. `Pod` or `AuthorizationPolicy`.
    pub kind: Arc<str>,
    /// Its namespace; empty for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The rule in it: index counted from zero, or its name. Empty for the whole object.
    pub rule: Arc<str>,
}

impl Origin {
    /// The whole object `kind` `namespace`/`name`.
    pub fn object(
        kind: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            rule: Arc::default(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        if !self.rule.is_empty() {
            write!(f, " rule {}", self.rule)?;
        }
        Ok(())
    }
}
