//! The picture of the mesh that one proxy holds: a single writer, and readers that never wait.
//!
//! [`Store`] applies batches of changes and publishes a [`Snapshot`] after each; [`Reader`] hands the
//! newest one out. Snapshots are persistent: a change copies a few paths of small tries, whatever the
//! size of the mesh, and a reader keeps what it loaded for as long as it likes. Records are compact
//! (docs/compat.md#workload-record in about 300 bytes with all indexes, where pods share their
//! deployment's and node's parts), and questions are answered with small ids and views.
//!
//! Ids mean something only in the snapshot they came from and in later ones that still hold the
//! same workload or service; they are not used again before 2³² others were.

mod store;
mod apply;
mod waypoint;
mod pick;
mod lookup;
mod snapshot;
mod policies;
mod rejected;
mod services;
mod workloads;
mod endpoints;
mod records;
mod intern;
mod trie;

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

pub use lookup::{Hit, Lookup};
pub use pick::{Endpoint, NoEndpoint, Pick};
pub use policies::PolicySet;
pub use services::ServiceView;
pub use snapshot::Snapshot;
pub use store::{Reader, Store};
pub use waypoint::{Unavailable, Waypoint};
pub use workloads::WorkloadView;

use crate::model::Locality;

/// A workload of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadId(u32);

/// A service of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(u32);

impl trie::Weigh for WorkloadId {}
impl trie::Weigh for ServiceId {}

/// What the picture is drawn for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Network of this proxy; empty for the default network.
    pub network: Box<str>,
    /// Node of this proxy. Workloads of it are indexed by name; empty indexes all of them so.
    pub node: Box<str>,
    /// Of services with one host name, none in the client's namespace and none canonical, this namespace's is taken;
    /// empty for no such wish.
    pub preferred_namespace: Box<str>,
    /// Only what was asked for is known: look-ups that find nothing say what to ask for.
    pub on_demand: bool,
    /// Whether labels of workloads are kept. Node proxies have no use for them.
    pub keeps_labels: bool,
}

/// A name that is gone, as the removals of a delta response have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Of the Address type: a workload's uid or a service's `namespace/hostname`.
    Address(Box<str>),
    /// Of the Authorization type: `namespace/name`.
    Policy(Box<str>),
}

/// Where a client stands, for choosing endpoints near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPlace<'a> {
    /// Its network; empty for the default network.
    pub network: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// Its node.
    pub node: &'a str,
    /// Its region, zone and subzone.
    pub locality: &'a Locality,
}

fn hash(hasher: &RandomState, value: &impl Hash) -> u32 {
    let wide = hasher.hash_one(value);
    // Both halves count, and the top bits are no use alone: a trie takes them from the bottom.
    (wide ^ (wide >> 32)) as u32
}

#[cfg(test)]
mod tests;
