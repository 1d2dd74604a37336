//! A small nftables: rulesets as plain values, put into the kernel as one atomic batch over netlink.
//!
//! Neither the `nft` program nor its library is needed. A [`Ruleset`] is built as a value, [`apply`] sends a list of
//! [`Command`]s to the network namespace that the calling thread is in, all or nothing, and [`dump`] reads back what
//! is there. Only the expressions that the mesh needs exist; `nft list ruleset` prints all of them, with the comments.
//!
//! *In*: values. *Out*: kernel state. *Never*: which rules a pod gets (that is `crate::rules`), switching namespaces.

pub mod compare;
pub mod dump;
mod kernel;
mod encode;
mod attribute;
mod command;
mod rule;

pub use command::Command;
pub use kernel::{Error, apply};
pub use rule::{
    Action, Address, AddressKind, Base, Chain, Element, Family, Hook, Is, Kind, Match, Numbers,
    Part, Protocol, Rule, Ruleset, Set, Table,
};

#[cfg(test)]
mod tests;
