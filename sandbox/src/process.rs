//! Child processes of PID 1: started through `sandbox-exec`, every one reaped, orphans of others too.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exec::{EXEC, Spec};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// Whether the program says that all is well.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// One number as shells have it: 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Standard input, output and error of a process.
#[derive(Debug)]
pub(crate) enum Streams {
    /// Nothing in, both outputs appended to this file.
    Log(PathBuf),
    /// Descriptors that somebody else made, in order.
    Given([OwnedFd; 3]),
}

/// Environment of a process: nothing is inherited but `PATH`.
pub(crate) type Environment = Vec<(String, String)>;

type Exits = HashMap<i32, watch::Sender<Option<Exit>>>;

/// All children of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children {
    // Held while a child is started and while children are reaped, so that none is reaped before it is known.
    exits: Arc<Mutex<Exits>>,
}

impl Children {
    /// Starts a program as `spec` says.
    pub(crate) fn start(
        &self,
        spec: &Spec,
        environment: &[(String, String)],
        streams: Streams,
    ) -> io::Result<Process> {
        let spec = serde_json::to_string(spec)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("weft").arg(EXEC).arg(spec).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        match streams {
            Streams::Log(path) => {
                let log = File::options().create(true).append(true).open(path)?;
                command
                    .stdin(Stdio::null())
                    .stdout(log.try_clone()?)
                    .stderr(log);
            }
            Streams::Given([input, output, error]) => {
                command.stdin(input).stdout(output).stderr(error);
            }
        }
        let (sender, exit) = watch::channel(None);
        let mut exits = self.exits.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = command.spawn()?.id().cast_signed();
        exits.insert(pid, sender);
        Ok(Process {
            pid,
            exit,
            exits: self.exits.clone(),
        })
    }

    /// Reaps children for ever.
    pub(crate) async fn reap(&self) -> io::Result<std::convert::Infallible> {
        let mut ended = signal(SignalKind::child())?;
        loop {
            self.reap_ended();
            ended.recv().await;
        }
    }

    fn reap_ended(&self) {
        let mut exits = self.exits.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (pid, exit) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::warn!(%error, "cannot reap children");
                    return;
                }
            };
            if let Some(sender) = exits.remove(&pid.as_raw()) {
                sender.send_replace(Some(exit));
            }
        }
    }
}

/// A child that runs or has ended.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: i32,
    exit: watch::Receiver<Option<Exit>>,
    exits: Arc<Mutex<Exits>>,
}

impl Process {
    /// Its process id inside the sandbox.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// How it ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.map(|exit| *exit);
        // The sender goes only after it has sent.
        ended
            .ok()
            .flatten()
            .unwrap_or(Exit::Signal(Signal::SIGKILL as i32))
    }

    /// Signals the process and its group. One that has ended is left alone: its number may be somebody else's.
    pub(crate) fn signal_group(&self, signal: Signal) {
        self.if_running(|pid| {
            // Before it has made its group only the process itself can be reached.
            if killpg(pid, signal).is_err() {
                let _ = kill(pid, signal);
            }
        });
    }

    fn if_running(&self, act: impl FnOnce(Pid)) {
        let exits = self.exits.lock().unwrap_or_else(PoisonError::into_inner);
        if exits.contains_key(&self.pid) && self.exit().is_none() {
            act(Pid::from_raw(self.pid));
        }
    }
}

/// Kills every process of the sandbox whose network namespace has this inode number, until none is left.
pub(crate) fn kill_namespace(inode: u64) {
    for _ in 0..64 {
        let victims: Vec<i32> = processes()
            .filter(|pid| namespace_inode(*pid) == Some(inode))
            .collect();
        if victims.is_empty() {
            return;
        }
        for pid in victims {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

fn processes() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid > 1)
}

fn namespace_inode(pid: i32) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(std::fs::metadata(format!("/proc/{pid}/ns/net")).ok()?.ino())
}
