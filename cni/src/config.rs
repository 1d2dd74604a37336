//! What the node agent and the plugin are told when they start: validated, immutable, one small struct per part.

pub mod env;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use objects::api::Access;

use crate::rules;

/// Everything the node agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The node whose pods this agent enrols.
    pub node_name: String,
    /// Where objects come from and marks go to.
    pub objects: Place,
    /// The sockets that it serves, and the folder in which it remembers.
    pub paths: Paths,
    /// Which pods are never the mesh's.
    pub exclusions: Exclusions,
    /// The redirection of every pod.
    pub rules: rules::Settings,
    /// The user whose connections from the node count as the kubelet's.
    pub kubelet_user: u32,
    /// How long the plugin is kept waiting.
    pub patience: Patience,
    /// How often all rules are looked at, beside the kernel's notices that somebody has changed them.
    pub check_interval: Duration,
    /// Where its pages are.
    pub pages: Pages,
    /// What is logged, in the syntax of `RUST_LOG`.
    pub log_filter: String,
    /// How lines of the log look.
    pub log_format: mesh::telemetry::log::Format,
}

/// Where objects come from and marks go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory of files.
    Directory(PathBuf),
    /// An API server.
    ApiServer(Access),
}

/// How long the plugin is kept waiting for an answer, at most; the runtime calls again after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the pod's object, which may arrive after the call.
    pub look_up: Duration,
    /// For the rules, and for ztunnel to confirm the pod.
    pub confirmation: Duration,
}

/// Places in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Where ztunnel dials.
    pub node_socket: PathBuf,
    /// Where the plugin asks.
    pub plugin_socket: PathBuf,
    /// Where the agent keeps what must outlive it.
    pub run_directory: PathBuf,
}

/// Addresses of the agent's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// Metrics and the log level; on loopback.
    pub admin: SocketAddr,
    /// Readiness.
    pub ready: SocketAddr,
}

/// Which pods are never enrolled, whatever their labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusions {
    /// Namespaces outside the mesh.
    pub namespaces: Vec<String>,
    /// The namespace of the mesh's own programs.
    pub system_namespace: String,
}

/// What a container runtime asks of the plugin, apart from the configuration on standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// `ADD`, `DEL`, `VERSION`, ...
    pub command: String,
    /// The runtime's name for the pod's sandbox.
    pub container: String,
    /// The interface inside the pod.
    pub interface: String,
    /// The path of the network namespace.
    pub netns: String,
    /// `KEY=value` pairs with semicolons between them.
    pub arguments: String,
}
