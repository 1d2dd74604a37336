//! What is shared about a pod that is alive: who it is, where, its processes and its state.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::status::PodState;
use crate::exec::Spec;
use crate::messages::PodName;
use crate::network::namespace::Namespace;
use crate::network::topology::PodAddresses;
use crate::node::Node;
use crate::process::{Environment, Process};

/// A pod between its network's set-up and its end.
pub(crate) struct LivePod {
    pub(crate) name: PodName,
    pub(crate) uid: String,
    pub(crate) node: Arc<Node>,
    /// Number in the node's range; none for a pod on its node's own network.
    pub(crate) slot: Option<u8>,
    pub(crate) addresses: PodAddresses,
    pub(crate) network: Namespace,
    /// Files of the pod, in the run directory.
    pub(crate) folder: PathBuf,
    containers: Mutex<Vec<Slot>>,
    state: watch::Sender<PodState>,
}

/// How one container is run, and its process.
#[derive(Debug, Clone)]
struct Slot {
    spec: Spec,
    environment: Environment,
    process: Option<Process>,
}

/// Who and where a pod is.
pub(crate) struct Facts {
    pub(crate) name: PodName,
    pub(crate) uid: String,
    pub(crate) node: Arc<Node>,
    pub(crate) slot: Option<u8>,
    pub(crate) addresses: PodAddresses,
    pub(crate) network: Namespace,
    pub(crate) folder: PathBuf,
}

impl LivePod {
    pub(crate) fn new(facts: Facts, state: watch::Sender<PodState>) -> Self {
        let Facts {
            name,
            uid,
            node,
            slot,
            addresses,
            network,
            folder,
        } = facts;
        let containers = Mutex::default();
        Self {
            name,
            uid,
            node,
            slot,
            addresses,
            network,
            folder,
            containers,
            state,
        }
    }

    /// Changes the state; whoever writes the status is told.
    pub(crate) fn update(&self, change: impl FnOnce(&mut PodState)) {
        self.state.send_modify(change);
    }

    /// The state now.
    pub(crate) fn state(&self) -> PodState {
        self.state.borrow().clone()
    }

    /// Says whether a container may get traffic; nobody is told what they know.
    pub(crate) fn set_ready(&self, index: usize, ready: bool) {
        self.state
            .send_if_modified(|state| match state.containers.get_mut(index) {
                Some(one) if one.ready != ready => {
                    one.ready = ready;
                    true
                }
                _ => false,
            });
    }

    /// Says how the containers will be run, in the order of the state.
    pub(crate) fn prepare(&self, runs: impl Iterator<Item = (Spec, Environment)>) {
        let mut containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *containers = runs
            .map(|(spec, environment)| Slot {
                spec,
                environment,
                process: None,
            })
            .collect();
    }

    /// A container's process was started.
    pub(crate) fn running(&self, index: usize, process: &Process) {
        let mut containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = containers.get_mut(index) {
            slot.process = Some(process.clone());
        }
    }

    /// How to run something beside a container: in its mounts when it runs, else in equal ones.
    pub(crate) fn joining(&self, index: usize) -> Option<(Spec, Environment)> {
        let containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let slot = containers.get(index)?;
        let running = slot
            .process
            .as_ref()
            .filter(|process| process.exit().is_none());
        let join = running.map(Process::pid);
        let spec = Spec {
            join,
            name: None,
            command: Vec::new(),
            ..slot.spec.clone()
        };
        Some((spec, slot.environment.clone()))
    }

    /// Signals every container.
    pub(crate) fn signal(&self, signal: Signal) {
        let containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for process in containers.iter().filter_map(|slot| slot.process.as_ref()) {
            process.signal_group(signal);
        }
    }

    /// Processes of containers that have not ended.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all = containers.iter().filter_map(|slot| slot.process.clone());
        all.filter(|process| process.exit().is_none()).collect()
    }
}
