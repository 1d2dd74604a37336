//! Pure. What the status of a Gateway says of its waypoint, and that of a class of who looks after it.
//! Source: docs/compat.md#waypoint-deployment.

use objects::gateway_api::{Gateway, Listener};
use objects::object::Object;
use serde_json::{Map, Value, json};

use super::waypoint::Waypoint;
use crate::translate::status::{Condition, Listed, Spoken, Status};

/// What became of an object that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A class of ours.
    Class,
    /// A Gateway that is not ours any more.
    Left,
    /// What it says of its parts cannot be meant.
    InvalidParameters(String),
    /// Objects of others are where its parts would be.
    Strangers(Vec<String>),
    /// Its parts could not be written.
    Failed(String),
    /// Its parts are there.
    Deployed {
        /// Whether its service is there.
        is_reachable: bool,
        /// Pods that are ready.
        ready: usize,
        /// Pods that there are.
        pods: usize,
    },
}

/// What an object's status says of `outcome`.
pub(super) fn of(object: &Object, outcome: &Outcome, domain: &str) -> Status {
    let conditions = match (outcome, object.gateway()) {
        (Outcome::Class, _) => vec![yes(
            "Accepted",
            "Accepted",
            "waypoints of this mesh".to_owned(),
        )],
        (Outcome::Left, _) | (_, None) => Vec::new(),
        (outcome, Some(gateway)) => return of_gateway(gateway, outcome, domain),
    };
    Status {
        conditions,
        ..Status::default()
    }
}

fn of_gateway(gateway: &Gateway, outcome: &Outcome, domain: &str) -> Status {
    let host = Waypoint::of(gateway).host(domain);
    let accepted = match outcome {
        Outcome::InvalidParameters(reason) => no(
            "Accepted",
            "InvalidParameters",
            format!("{reason}; what is deployed stays as it is"),
        ),
        _ => yes("Accepted", "Accepted", "a waypoint of this mesh".to_owned()),
    };
    let programmed = match outcome {
        Outcome::Deployed {
            is_reachable: true,
            ready,
            pods,
        } if *ready > 0 => {
            let message = format!("{ready} of {pods} ready at {host}:15008");
            yes("Programmed", "Programmed", message)
        }
        Outcome::Deployed { ready, pods, .. } => {
            let message = format!("{ready} of {} ready", (*pods).max(1));
            no("Programmed", "AddressNotAssigned", message)
        }
        Outcome::Strangers(strangers) => {
            let message = format!("not deployed: {}", strangers.join(", "));
            no("Programmed", "DeploymentFailed", message)
        }
        Outcome::Failed(reason) => no("Programmed", "DeploymentFailed", reason.clone()),
        _ => no("Programmed", "Invalid", "see Accepted".to_owned()),
    };
    // Without an address nothing is bound to the Gateway.
    let addresses = match programmed.holds {
        true => json!([{"type": "Hostname", "value": host}]),
        false => json!([]),
    };
    let listeners = gateway.spec.listeners.iter();
    let listeners = listeners.map(|it| listener(it, &programmed));
    Status {
        conditions: vec![accepted, programmed.clone()],
        fields: Map::from_iter([("addresses".to_owned(), addresses)]),
        listed: Some(Listed::listeners(listeners.collect())),
    }
}

/// Routes are attached to services, never to a listener of a waypoint.
fn listener(listener: &Listener, programmed: &Condition) -> Spoken {
    let fields = [("attachedRoutes", json!(0)), ("supportedKinds", json!([]))];
    Spoken {
        about: Value::from(listener.name.as_str()),
        fields: fields
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect(),
        conditions: vec![
            yes("Accepted", "Accepted", String::new()),
            no("Conflicted", "NoConflicts", String::new()),
            Condition {
                message: String::new(),
                reason: if programmed.holds {
                    "Programmed"
                } else {
                    "Pending"
                },
                ..programmed.clone()
            },
            yes("ResolvedRefs", "ResolvedRefs", String::new()),
        ],
    }
}

fn yes(kind: &'static str, reason: &'static str, message: String) -> Condition {
    condition(kind, true, reason, message)
}

fn no(kind: &'static str, reason: &'static str, message: String) -> Condition {
    condition(kind, false, reason, message)
}

fn condition(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Condition {
    Condition {
        kind,
        holds,
        reason,
        message,
    }
}
