//! What `weft status` says of waypoints: where each is reached, which of its pods answer, and how much they serve.

use sandbox::messages::WaypointStatus;
use sandbox::{Sandbox, Status, Target};
use serde_json::{Value, json};

use crate::look::{self, list};

/// A waypoint, looked at.
pub(super) struct Waypoint {
    gateway: String,
    address: Option<String>,
    pods: Vec<Pod>,
}

/// A pod of it.
struct Pod {
    name: String,
    /// Services and destinations that it knows; or why that is not known.
    counts: Result<[usize; 2], String>,
}

/// Heads of the columns.
pub(super) const HEAD: [&str; 5] = ["WAYPOINT", "ADDRESS", "POD", "SERVICES", "DESTINATIONS"];

impl Waypoint {
    /// Looks at all of them.
    pub(super) fn look(sandbox: &Sandbox, status: &Status) -> Vec<Self> {
        let waypoints = status.waypoints.iter();
        waypoints.map(|one| Self::look_at(sandbox, one)).collect()
    }

    fn look_at(sandbox: &Sandbox, status: &WaypointStatus) -> Self {
        let pod = |(name, _): &(sandbox::PodName, _)| Pod {
            name: name.to_string(),
            counts: match look::json(sandbox, &Target::Pod(name.clone()), look::DUMP) {
                Ok(dump) => Ok(["services", "destinations"].map(|it| list(&dump, it).len())),
                Err(error) => Err(format!("{error:#}")),
            },
        };
        Self {
            gateway: status.gateway.clone(),
            address: status.address.clone(),
            pods: status.pods.iter().map(pod).collect(),
        }
    }

    /// Whether it is reached and every pod of it answers.
    pub(super) fn is_ready(&self) -> bool {
        self.address.is_some() && self.pods.iter().all(|pod| pod.counts.is_ok())
    }

    /// A line per pod; one at least.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let address = self.address.clone().unwrap_or_else(|| "none".to_owned());
        let row = |pod: &str, counts: [String; 2]| {
            let [services, destinations] = counts;
            let (gateway, address) = (self.gateway.clone(), address.clone());
            vec![gateway, address, pod.to_owned(), services, destinations]
        };
        let none = || [String::new(), String::new()];
        if self.pods.is_empty() {
            return vec![row("none", none())];
        }
        let pods = self.pods.iter();
        pods.map(|pod| match &pod.counts {
            Ok(counts) => row(&pod.name, counts.map(|count| count.to_string())),
            Err(error) => row(&format!("{} ({error})", pod.name), none()),
        })
        .collect()
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let pods = self.pods.iter().map(|pod| match &pod.counts {
            Ok([services, destinations]) => json!({
                "name": pod.name, "services": services, "destinations": destinations,
            }),
            Err(error) => json!({"name": pod.name, "error": error}),
        });
        json!({
            "gateway": self.gateway,
            "address": self.address,
            "pods": pods.collect::<Vec<_>>(),
        })
    }
}
