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
use crate::observe::metrics::Metrics;
use crate::observe::trace::collectors::Spans;
use crate::observe::{Observer, access_log};
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
    /// Metrics of all.
    pub metrics: Metrics,
    /// Where lines about requests go.
    pub lines: access_log::lines::Handle,
    /// Where spans go; `None` where nobody takes them.
    pub spans: Option<Spans>,
}

/// One worker.
pub struct Worker {
    /// What all workers share.
    pub shared: Shared,
    /// Connections to endpoints.
    pub upstream: Rc<Upstream>,
    /// Counts, logs and traces requests.
    pub observer: Rc<Observer>,
    /// Hears of the end.
    pub drain: drain::Watch,
}
