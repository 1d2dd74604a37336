//! Links, addresses and routes of the sandbox: a bridge in the control plane, a namespace per node, one per pod.

pub mod topology;
pub mod links;
pub mod namespace;
pub mod addresses;
