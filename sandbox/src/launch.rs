//! How a sandbox is born: the front-end starts `sandbox-init`, which enters new namespaces and starts PID 1 inside.
//!
//! Death travels both ways. The front-end holds the write end of init's standard input, init holds that of PID 1's:
//! end of file means "your parent is gone". PID 1 also asks the kernel to be killed with init. When PID 1 dies the
//! kernel kills every process inside, and with the last one all namespaces and mounts are gone.

pub mod front;
pub mod init;
mod user_map;
mod refusal;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::options::Options;

/// The running executable, also after it was replaced on disk.
pub(crate) const OURSELVES: &str = "/proc/self/exe";
/// Hidden subcommand of the process that makes the namespaces.
pub const INIT: &str = "sandbox-init";
/// Hidden subcommand of PID 1 inside.
pub const SUPERVISE: &str = "sandbox-supervise";
/// Hidden subcommand that writes the identity map of init from outside.
pub const MAP_USERS: &str = "sandbox-map-users";

/// What init and PID 1 are told, as one JSON argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    /// What the user asked for.
    pub options: Options,
    /// The sandbox's directory.
    pub place: PathBuf,
    /// Whether end of file on standard input means that the owner is gone (false for a sandbox that outlives its command).
    pub owned: bool,
    /// Whether more than one user id is mapped inside; set by init.
    pub many_ids: bool,
}

/// The one line that comes back when the sandbox stands, or cannot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The control socket answers.
    Ready,
    /// Why there is no sandbox.
    Failed {
        /// The whole chain of causes in one line.
        reason: String,
    },
}
