//! One data path thread's own things, and what all of them share.

use std::rc::Rc;
use std::sync::Arc;

use mesh::cert::KeeperHandle;
use mesh::hbone;
use mesh::identity::Identity;
use mesh::lifecycle::drain;
use mesh::state;
use mesh::xds::Demand;

use crate::config::Config;
use crate::destinations::Destinations;
use crate::served;
use crate::upstream::Upstream;

/// What all workers share; everything in it may be used from any thread without waiting.
#[derive(Clone)]
pub struct Shared {
    /// Settings.
    pub config: Arc<Config>,
    /// Limits of tunnels.
    pub tunnels: hbone::Settings,
    /// Who this waypoint is.
    pub identity: Identity,
    /// The picture of the mesh.
    pub state: state::Reader,
    /// What is served.
    pub served: served::Reader,
    /// Where requests can go.
    pub destinations: Arc<Destinations>,
    /// Certificates.
    pub certificates: KeeperHandle,
    /// Asks the controller for single names; nobody is asked where everything is known by itself.
    pub demand: Option<Demand>,
}

/// One worker.
pub struct Worker {
    /// What all workers share.
    pub shared: Shared,
    /// Connections to endpoints.
    pub upstream: Rc<Upstream>,
    /// Hears of the end.
    pub drain: drain::Watch,
}
