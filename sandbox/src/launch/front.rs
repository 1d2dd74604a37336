//! The front-end's part: start init, wait for its report, and hold the sandbox's life where it is ours.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use super::{INIT, OURSELVES, Orders, Report};
use crate::options::{MOST_NODES, Options};
use crate::place::{self, Place};

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be used.
    #[error(transparent)]
    Place(#[from] place::Error),
    /// The number of nodes is out of range.
    #[error("a sandbox has 1 to {MOST_NODES} nodes, not {nodes}")]
    Nodes {
        /// What was asked for.
        nodes: u16,
    },
    /// The first process could not be started.
    #[error("cannot {operation}")]
    System {
        /// What failed.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The sandbox said why it cannot stand.
    #[error("{reason}")]
    Failed {
        /// Its words.
        reason: String,
    },
    /// The sandbox ended without a word.
    #[error("the sandbox ended while it started")]
    Silent,
}

/// A sandbox that stands; it ends when this value is dropped, unless it was let go.
#[derive(Debug)]
pub struct Started {
    /// Where its control socket is.
    pub place: Place,
    init: Option<(Child, Option<ChildStdin>)>,
}

/// Starts a sandbox and waits until its control socket answers.
///
/// With `owned` the sandbox ends when the returned value is dropped or this process ends in any way;
/// without, it lives on until `down`.
pub fn start(options: &Options, owned: bool) -> Result<Started, Error> {
    if !(1..=MOST_NODES).contains(&options.nodes) {
        return Err(Error::Nodes {
            nodes: options.nodes,
        });
    }
    let place = Place::choose(&options.name)?;
    let orders = Orders {
        options: options.clone(),
        place: place.path().to_owned(),
        owned,
        many_ids: false,
    };
    let orders = serde_json::to_string(&orders).map_err(|error| Error::System {
        operation: "write the orders",
        source: error.into(),
    })?;
    let exe = match &options.exe {
        None => PathBuf::from(OURSELVES),
        Some(exe) => exe.canonicalize().map_err(|source| Error::System {
            operation: "find the executable to start",
            source,
        })?,
    };
    let mut init = Command::new(exe)
        .arg0("weft")
        .current_dir("/") // it may live long, and should keep no file system busy
        .arg(INIT)
        .arg(orders)
        .stdin(if owned { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(if owned {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()
        .map_err(|source| Error::System {
            operation: "start the sandbox",
            source,
        })?;
    let lifeline = init.stdin.take();
    let report = match init.stdout.take() {
        Some(stdout) => read_report(stdout),
        None => Err(Error::Silent),
    };
    let started = Started {
        place,
        init: Some((init, lifeline)),
    };
    // On failure dropping `started` reaps init, which cleans up after itself.
    report.map(|()| started)
}

fn read_report(stdout: impl io::Read) -> Result<(), Error> {
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .map_err(|source| Error::System {
            operation: "read the sandbox's report",
            source,
        })?;
    match serde_json::from_str(&line) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed { reason }) => Err(Error::Failed { reason }),
        Err(_) => Err(Error::Silent),
    }
}

impl Started {
    /// Process id of the sandbox's first process, outside its namespaces.
    pub fn init_pid(&self) -> Option<u32> {
        self.init.as_ref().map(|(child, _)| child.id())
    }

    /// Lets the sandbox live on after this process; only for one that was not started as owned.
    pub fn let_go(mut self) {
        self.init = None;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some((mut child, lifeline)) = self.init.take() {
            let was_owned = lifeline.is_some();
            drop(lifeline);
            if was_owned || matches!(child.try_wait(), Ok(None)) {
                if !was_owned {
                    let _ = nix::sys::signal::kill(
                        nix::unistd::Pid::from_raw(child.id().cast_signed()),
                        nix::sys::signal::Signal::SIGTERM,
                    );
                }
                let _ = child.wait();
            }
            // If init itself was killed, its clean-up did not happen.
            if let Ok(Some(_lock)) = self.place.lock(Duration::ZERO) {
                let _ = self.place.remove();
            }
        }
    }
}
