//! Pure. From what containers do to a pod's `status`.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::process::Exit;

/// What one container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started, or between two starts.
    Waiting {
        reason: &'static str,
        message: String,
    },
    /// It runs.
    Running,
    /// It ended and will not be started again.
    Ended(Exit),
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerState {
    pub(crate) name: String,
    pub(crate) image: String,
    /// An init container that must end before the others start.
    pub(crate) is_init: bool,
    pub(crate) state: State,
    pub(crate) ready: bool,
    pub(crate) restarts: u32,
    pub(crate) last_exit: Option<Exit>,
}

/// Everything a pod's status is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PodState {
    pub(crate) node_address: Option<IpAddr>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) containers: Vec<ContainerState>,
    /// Why the pod as a whole is held up.
    pub(crate) trouble: Option<(&'static str, String)>,
    /// On its way out: ready for nothing.
    pub(crate) is_ending: bool,
}

/// The phase by the rules of Kubernetes' pod life cycle.
pub(crate) fn phase(state: &PodState) -> &'static str {
    let main: Vec<&State> = state
        .containers
        .iter()
        .filter(|one| !one.is_init)
        .map(|one| &one.state)
        .collect();
    let init_failed = state
        .containers
        .iter()
        .any(|one| one.is_init && matches!(one.state, State::Ended(exit) if !exit.is_success()));
    if init_failed {
        return "Failed";
    }
    let was_started =
        |one: &ContainerState| one.restarts > 0 || !matches!(one.state, State::Waiting { .. });
    if main.is_empty()
        || !state
            .containers
            .iter()
            .filter(|one| !one.is_init)
            .all(was_started)
    {
        return "Pending";
    }
    if main.iter().all(|one| matches!(one, State::Ended(_))) {
        let good = main
            .iter()
            .all(|one| matches!(one, State::Ended(exit) if exit.is_success()));
        return if good { "Succeeded" } else { "Failed" };
    }
    "Running"
}

/// The patch that says it all.
pub(crate) fn fields(state: &PodState) -> Value {
    let phase = phase(state);
    let all_ready = phase == "Running"
        && !state.is_ending
        && state
            .containers
            .iter()
            .filter(|one| !one.is_init)
            .all(|one| one.ready);
    let initialized = state
        .containers
        .iter()
        .filter(|one| one.is_init)
        .all(|one| matches!(one.state, State::Ended(exit) if exit.is_success()));
    let condition = |name: &str, holds: bool| json!({"type": name, "status": if holds { "True" } else { "False" }});
    let ips: Vec<Value> = state.addresses.iter().map(|ip| json!({"ip": ip})).collect();
    let statuses = |init: bool| -> Vec<Value> {
        state
            .containers
            .iter()
            .filter(|one| one.is_init == init)
            .map(container)
            .collect()
    };
    let (reason, message) = match &state.trouble {
        Some((reason, message)) => (Some(*reason), Some(message.clone())),
        None => (None, None),
    };
    json!({"status": {
        "phase": phase,
        "hostIP": state.node_address,
        "podIP": state.addresses.first(),
        "podIPs": ips,
        "reason": reason,
        "message": message,
        "conditions": [
            condition("PodScheduled", true),
            condition("Initialized", initialized),
            condition("ContainersReady", all_ready),
            condition("Ready", all_ready),
        ],
        "initContainerStatuses": statuses(true),
        "containerStatuses": statuses(false),
    }})
}

fn container(one: &ContainerState) -> Value {
    let state = match &one.state {
        State::Waiting { reason, message } => {
            json!({"waiting": {"reason": reason, "message": message}})
        }
        State::Running => json!({"running": {}}),
        State::Ended(exit) => json!({"terminated": ended(*exit)}),
    };
    let last = one.last_exit.map(|exit| json!({"terminated": ended(exit)}));
    json!({
        "name": one.name,
        "image": one.image,
        "ready": one.ready,
        "started": matches!(one.state, State::Running),
        "restartCount": one.restarts,
        "state": state,
        "lastState": last.unwrap_or_else(|| json!({})),
    })
}

fn ended(exit: Exit) -> Value {
    let reason = if exit.is_success() {
        "Completed"
    } else {
        "Error"
    };
    let signal = match exit {
        Exit::Signal(signal) => Some(signal),
        Exit::Code(_) => None,
    };
    json!({"exitCode": exit.code(), "signal": signal, "reason": reason})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(is_init: bool, state: State, ready: bool) -> ContainerState {
        let (name, image) = ("c".to_owned(), String::new());
        ContainerState {
            name,
            image,
            is_init,
            state,
            ready,
            restarts: 0,
            last_exit: None,
        }
    }

    fn pod(containers: Vec<ContainerState>) -> PodState {
        PodState {
            containers,
            ..PodState::default()
        }
    }

    #[test]
    fn the_phase_follows_the_containers() {
        let waiting = || State::Waiting {
            reason: "ContainerCreating",
            message: String::new(),
        };
        let ended = |code| State::Ended(Exit::Code(code));
        for (containers, expected) in [
            (vec![], "Pending"),
            (vec![one(false, waiting(), false)], "Pending"),
            (
                vec![
                    one(false, State::Running, false),
                    one(false, waiting(), false),
                ],
                "Pending",
            ),
            (vec![one(false, State::Running, false)], "Running"),
            (
                vec![
                    one(false, ended(0), false),
                    one(false, State::Running, true),
                ],
                "Running",
            ),
            (vec![one(false, ended(0), false)], "Succeeded"),
            (
                vec![one(false, ended(0), false), one(false, ended(1), false)],
                "Failed",
            ),
            (
                vec![one(true, ended(1), false), one(false, waiting(), false)],
                "Failed",
            ),
        ] {
            assert_eq!(phase(&pod(containers.clone())), expected, "{containers:?}");
        }
    }

    #[test]
    fn a_pod_is_ready_when_all_its_containers_are_and_it_stays() {
        let ready = |state: &PodState| {
            fields(state)
                .pointer("/status/conditions/3/status")
                .unwrap()
                == "True"
        };
        let mut state = pod(vec![
            one(false, State::Running, true),
            one(true, State::Ended(Exit::Code(0)), false),
        ]);
        assert!(ready(&state));
        state.is_ending = true;
        assert!(!ready(&state));
        state = pod(vec![
            one(false, State::Running, true),
            one(false, State::Running, false),
        ]);
        assert!(!ready(&state));
    }
}
