//! The mesh's own programs: the controller, and per node the CNI agent and the proxy; each a process, kept running.

mod environment;
mod manifests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::exec::Spec;
use crate::messages::ProgramStatus;
use crate::process::{Children, Environment, Exit, Process, Streams};

pub(crate) use environment::{SYSTEM_NAMESPACE, controller_folder, node_program_tokens, plan};
pub(crate) use manifests::{PROGRAM_ANNOTATION, cluster_objects, program_pod};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A program that ran this long starts with the first pause again.
const STABLE: Duration = Duration::from_secs(10);
/// How often a file that a program needs is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// What a program is and how it is run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// `controller`, `cni-agent/node-1`, `ztunnel/node-1`, ...
    pub(crate) name: String,
    pub(crate) spec: Spec,
    pub(crate) environment: Environment,
    pub(crate) log: PathBuf,
    /// A file that must exist before it starts (made by another program).
    pub(crate) needs: Option<PathBuf>,
}

/// Waits for a file that another program makes.
async fn until_there(file: &Path) {
    while !file.exists() {
        sleep(LOOK).await;
    }
}

/// One program and its state.
pub(crate) struct Program {
    plan: Plan,
    state: watch::Sender<State>,
}

/// What a program does now.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) process: Option<Process>,
    pub(crate) restarts: u32,
    pub(crate) last_exit: Option<Exit>,
    pub(crate) held: bool,
}

impl State {
    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }
}

impl Program {
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan,
            state: watch::Sender::new(State::default()),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.plan.name
    }

    /// To be told of changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Keeps it running, unless it is held, until the task is dropped.
    pub(crate) async fn keep(&self, children: &Children) {
        let mut pause = FIRST_PAUSE;
        let mut states = self.watch();
        loop {
            if states.wait_for(|state| !state.held).await.is_err() {
                return;
            }
            if let Some(file) = &self.plan.needs {
                until_there(file).await;
            }
            let started = Instant::now();
            let streams = Streams::Log(self.plan.log.clone());
            match children.start(&self.plan.spec, &self.plan.environment, streams) {
                Ok(process) => self.attend(process).await,
                Err(error) => tracing::error!(program = self.plan.name, %error, "cannot start"),
            }
            if started.elapsed() > STABLE {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attend(&self, process: Process) {
        self.state
            .send_modify(|state| state.process = Some(process.clone()));
        // Held in the moment between the check and the start.
        if self.state.borrow().held {
            process.signal_group(Signal::SIGKILL);
        }
        let exit = process.wait().await;
        tracing::info!(program = self.plan.name, ?exit, "ended");
        self.state.send_modify(|state| {
            (state.process, state.last_exit) = (None, Some(exit));
            state.restarts = state.restarts.saturating_add(1);
        });
    }

    /// Kills it; with `hold` it stays down.
    pub(crate) async fn kill(&self, hold: bool) {
        self.state.send_modify(|state| state.held |= hold);
        let process = self.state.borrow().process.clone();
        if let Some(process) = process {
            process.signal_group(Signal::SIGKILL);
            process.wait().await;
        }
    }

    /// Asks it to end by itself; it stays down.
    pub(crate) fn ask_to_end(&self) {
        self.state.send_modify(|state| state.held = true);
        let process = self.state.borrow().process.clone();
        if let Some(process) = process {
            process.signal_group(Signal::SIGTERM);
        }
    }

    /// Starts it again after a hold.
    pub(crate) fn release(&self) {
        self.state.send_modify(|state| state.held = false);
    }

    /// For people.
    pub(crate) fn status(&self) -> ProgramStatus {
        let state = self.state.borrow();
        ProgramStatus {
            name: self.plan.name.clone(),
            pid: state.process.as_ref().map(Process::pid),
            restarts: state.restarts,
            last_exit: state.last_exit,
            held: state.held,
            log: self.plan.log.clone(),
        }
    }
}
