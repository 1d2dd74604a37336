//! A small cluster of network namespaces on one Linux machine.
//!
//! Modules stand top-down: a module uses only modules declared below it.
//!
//! *In*: manifests in a directory. *Out*: pods that run, and what Kubernetes would write about them.
//! *Never*: a binary of the machine (`ip`, `nft`, a shell), except what a pod's `command` asks for.

pub mod entry;
pub mod sandbox;
mod supervise;
mod control;
mod world;
pub mod launch;
mod apply;
mod kubelet;
mod programs;
mod roles;
mod cluster;
mod node;
pub mod capture;
pub mod app;
pub mod messages;
mod process;
pub mod exec;
pub mod network;
pub mod place;
mod mesh_names;
pub mod options;

pub use messages::{PodName, Status, Target};
pub use options::Options;
pub use process::Exit;
pub use sandbox::Sandbox;
