//! What Weft reads from an API server and writes to it, however that server behaves.
//!
//! Against the one of `e2e/src/api_server.rs`, and against a real kube-apiserver with etcd where `KUBEBUILDER_ASSETS` names
//! a folder with both (`real.rs`).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod follower;
mod program;
mod source;
mod sink;
mod scenario;
mod leaders;
mod trouble;
