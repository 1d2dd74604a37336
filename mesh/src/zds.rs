//! The node socket: how the agent hands pods and their network namespaces to ztunnel (contract: node
//! socket, docs/compat.md#node-socket).
//!
//! The agent listens on a `SOCK_SEQPACKET` unix socket and ztunnel dials it. One packet is one protobuf
//! message of at most [`MAX_PACKET`] bytes; the namespace travels beside it as a descriptor. ztunnel says
//! hello first, then the agent sends one [`Request`] at a time and waits for its [`Ack`].
//!
//! *In*: a path, or a connected socket. *Out*: typed messages with their descriptors.
//! *Never*: what a pod is for, whether it should be enrolled, what to do about a failure.

pub mod client;
pub mod server;
pub mod conn;
pub mod message;

pub use client::{Client, Order};
pub use conn::Error;
pub use message::{Ack, MAX_PACKET, PodInfo, Request};
pub use server::{EXCHANGE_TIMEOUT, Listener, Session};

#[cfg(test)]
mod tests;
