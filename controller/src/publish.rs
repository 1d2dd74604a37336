//! Recipe of the xDS server: serve -> scope -> session -> push, one stream per client.
//!
//! `serve` asks who calls and runs the stream, `scope` says what that client may see, `session` decides
//! what it is told next, `push` gathers changes briefly and writes the messages.
//!
//! In: the tables of `resources`. Out: delta responses; next on the path of a config object is
//! `mesh::xds` in the proxies. Never: a queue per client. Every stream reads the tables from where its
//! client is, with one unanswered push per type, so a slow client delays nobody and costs no memory.
//!
//! **Policies first.** A client must not learn of a workload before the policies that it names, nor
//! lose a policy while workloads name it. All types share one count of changes, and what belongs together is published at
//! once. A session sends addresses only up to the moment of which the client is known to hold all policies, and the
//! removal of a policy only when the client is known to hold all addresses of a later moment. So within one stream the
//! order is: new policies (and the end of those that apply without being named), their answer, addresses, their answer, removals of policies; whatever the
//! order in which the client subscribed. A client that has not asked for policies within
//! [`session::GRACE`] of the stream's beginning does not want any, and gets addresses without waiting.
//! The same holds for waypoints, between their policies and the routes of services.
//!
//! **Only what is theirs.** What is for some waypoints is sent to no other client, by whatever name it asks. A resource
//! that comes to be for a client is new to it, one that is no longer for it is gone; see `resources::Audience`.

mod serve;
mod push;
pub mod session;
pub mod scope;
mod counters;

pub use counters::{Counters, TypeCounters};
pub use serve::{Service, Settings};
