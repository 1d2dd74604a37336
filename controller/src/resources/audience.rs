//! Pure. Whom a resource is for.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh::names::NamespacedName;

/// The clients that may see a resource. What is for some waypoints is never sent to another client, nor is its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience(Option<Arc<[NamespacedName]>>);

impl Audience {
    /// Whoever may ask for the type at all.
    pub fn everyone() -> Self {
        Self(None)
    }

    /// The pods of these gateways; of none, nobody.
    pub fn gateways(names: impl IntoIterator<Item = NamespacedName>) -> Self {
        let names: BTreeSet<NamespacedName> = names.into_iter().collect();
        Self(Some(names.into_iter().collect()))
    }

    /// Whether a client that serves this gateway, or none, is among them.
    pub fn includes(&self, gateway: Option<&NamespacedName>) -> bool {
        match (&self.0, gateway) {
            (None, _) => true,
            (Some(names), Some(gateway)) => names.binary_search(gateway).is_ok(),
            (Some(_), None) => false,
        }
    }

    /// Whether it is for some clients only.
    pub fn is_restricted(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_some_gateways_is_for_no_other_client() {
        let (a, b) = (NamespacedName::new("n", "a"), NamespacedName::new("n", "b"));
        let only_a = Audience::gateways([a.clone(), a.clone()]);
        assert_eq!(only_a, Audience::gateways([a.clone()]));
        for (audience, client, expected) in [
            (Audience::default(), None, true),
            (Audience::everyone(), Some(&a), true),
            (only_a.clone(), Some(&a), true),
            (only_a.clone(), Some(&b), false),
            (only_a.clone(), None, false),
            (Audience::gateways([]), Some(&a), false),
            (Audience::gateways([]), None, false),
        ] {
            assert_eq!(
                audience.includes(client),
                expected,
                "{audience:?} {client:?}"
            );
        }
        assert!(only_a.is_restricted() && !Audience::everyone().is_restricted());
    }
}
