//! Pure. What a batch did: changes of resources by type, and what is to be said in the status of objects.

use proto::type_urls;

use crate::resources::{Change, Upsert};
use crate::status::Wish;

/// What a batch did to the resources of one type.
#[derive(Debug, Default)]
pub struct Changes {
    /// New or recomputed resources by name, encoded once.
    pub upserts: Vec<Upsert>,
    /// Names that have no resource (any more); some never had one.
    pub removed: Vec<String>,
}

/// What a batch did. All of it is of one moment and published at once.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Authorization policies of node proxies.
    pub policies: Changes,
    /// Workloads and services.
    pub addresses: Changes,
    /// Policies of waypoints, each for the waypoints that enforce it.
    pub attached: Changes,
    /// Routes of services, each for the waypoints that the service is bound to.
    pub routes: Changes,
    /// Waypoints, each for itself.
    pub waypoints: Changes,
    /// What is to be said in the status of objects.
    pub statuses: Vec<Wish>,
}

/// Types of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// See [`Outcome::policies`].
    Policy,
    /// See [`Outcome::attached`].
    Attached,
    /// See [`Outcome::routes`].
    Routes,
    /// See [`Outcome::waypoints`].
    Waypoint,
    /// See [`Outcome::addresses`].
    Address,
}

impl Type {
    /// All of them, policies before what they protect.
    pub const ALL: [Self; 5] = [
        Self::Policy,
        Self::Attached,
        Self::Routes,
        Self::Waypoint,
        Self::Address,
    ];

    /// Its name on the wire.
    pub const fn url(self) -> &'static str {
        match self {
            Self::Policy => type_urls::AUTHORIZATION,
            Self::Attached => type_urls::ROUTE_POLICY,
            Self::Routes => type_urls::SERVICE_ROUTES,
            Self::Waypoint => type_urls::WAYPOINT,
            Self::Address => type_urls::ADDRESS,
        }
    }
}

impl Outcome {
    /// The changes of a type.
    pub fn of(&mut self, r#type: Type) -> &mut Changes {
        match r#type {
            Type::Policy => &mut self.policies,
            Type::Attached => &mut self.attached,
            Type::Routes => &mut self.routes,
            Type::Waypoint => &mut self.waypoints,
            Type::Address => &mut self.addresses,
        }
    }

    /// Takes all changes out, in the order in which they are published.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let one = |it| {
            let Changes { upserts, removed } = std::mem::take(self.of(it));
            Change {
                type_url: it.url(),
                upserts,
                removed,
            }
        };
        Type::ALL.map(one).into()
    }
}
