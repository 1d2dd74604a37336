//! Pure. Resources for waypoints, with those they are for.

use mesh::model::attached::{AttachedPolicy, Target};
use mesh::model::http::ServiceRoutes;
use mesh::model::waypoint::Waypoint;
use mesh::wire;

use super::outcome::Type;
use crate::resources::{Audience, Links, Upsert};

/// What waypoints are told beside addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guidance {
    /// Routes of a service.
    Routes(Box<ServiceRoutes>),
    /// A policy.
    Attached(Box<AttachedPolicy>),
    /// A waypoint's own settings.
    Waypoint(Box<Waypoint>),
}

/// The same, with those it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForWaypoints {
    /// What they are told.
    pub guidance: Guidance,
    /// Who is told.
    pub audience: Audience,
}

impl ForWaypoints {
    /// Type and encoded form.
    pub fn encode(&self) -> (Type, Upsert) {
        let mut links = Links::default();
        let (r#type, name, bytes) = match &self.guidance {
            Guidance::Routes(routes) => (
                Type::Routes,
                routes.key.to_string(),
                wire::routes::encode(routes),
            ),
            Guidance::Attached(policy) => {
                // What holds for all that a waypoint serves protects no single service that goes with it.
                let is_wide = |it: &Target| matches!(it, Target::Gateway(_));
                links.is_scoped = policy.targets.iter().any(is_wide);
                (
                    Type::Attached,
                    policy.resource_name(),
                    wire::attached::encode(policy),
                )
            }
            Guidance::Waypoint(waypoint) => (
                Type::Waypoint,
                waypoint.key.to_string(),
                wire::waypoint::encode(waypoint),
            ),
        };
        let upsert = Upsert {
            name,
            bytes,
            links,
            audience: self.audience.clone(),
        };
        (r#type, upsert)
    }
}
