//! What a sandbox is asked to be; travels from the front-end to the processes inside as JSON.

use std::path::PathBuf;

use mesh::settings::Variable;
use serde::{Deserialize, Serialize};

/// What the sandbox and the echo program read of the environment: name, default, meaning.
pub const VARIABLES: &[Variable] = &[
    (
        "XDG_RUNTIME_DIR",
        "/tmp/weft-<uid>",
        "where sandboxes keep their directories, below `weft`; used when it is the user's own",
    ),
    (
        "WEFT_SANDBOX_LOG",
        "info",
        "log filter of the sandbox itself; its programs have RUST_LOG",
    ),
    ("PORT", "8080", "echo: port of the HTTP server"),
    ("TCP_PORT", "none", "echo: port of the TCP echo"),
    ("POD_NAME", "", "echo: the name it answers with"),
    ("VERSION", "", "echo: the version it answers with"),
    (
        "STATUS",
        "200",
        "echo: status of answers for which the request asks none",
    ),
    (
        "DELAY",
        "0s",
        "echo: how long such answers take, as in `200ms`",
    ),
];

/// Most nodes one sandbox may have: node numbers are part of addresses (`10.244.N.0/24`).
pub const MOST_NODES: u16 = 64;

/// How large a sandbox is and what runs in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// Name of the sandbox: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// Number of nodes, 1 to [`MOST_NODES`]. They are called `node-1`, `node-2`, ...
    pub nodes: u16,
    /// Whether pods and services may have IPv6 addresses beside IPv4 (per pod: annotation
    /// `weft.dev/ip-families: IPv4,IPv6` on the pod or its namespace).
    pub dual_stack: bool,
    /// The executable that answers the hidden subcommands (see `entry`) and `run PROGRAM`; `None` is this one.
    pub exe: Option<PathBuf>,
    /// Whether the mesh's programs run: the controller, and per node the agent and the proxy.
    pub mesh: bool,
    /// Environment for the mesh's programs, on top of what the sandbox sets (`RUST_LOG`, `SECRET_TTL`, ...).
    pub program_env: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "weft".to_owned(),
            nodes: 2,
            dual_stack: true,
            exe: None,
            mesh: true,
            program_env: Vec::new(),
        }
    }
}
