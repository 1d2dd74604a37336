//! Keeps destinations at the picture of the mesh, and asks the controller for the names that routes need.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::ready::Gate;
use mesh::model::Locality;
use mesh::state::{self, ClientPlace, Snapshot};
use mesh::wire;
use mesh::xds::Demand;

use crate::balance::Place;
use crate::config::Node;
use crate::destinations::Destinations;
use crate::observe::metrics::Events;
use crate::served;

/// How long the controller may take for one name before it is asked again.
const ASK: Duration = Duration::from_secs(10);

/// How often ejections are counted.
const TICK: Duration = Duration::from_secs(5);

/// What is followed.
pub struct Follow {
    /// Where this waypoint stands.
    pub node: Node,
    /// The picture of the mesh.
    pub state: state::Reader,
    /// What is served.
    pub served: served::Reader,
    /// What is kept up to date.
    pub destinations: Arc<Destinations>,
    /// Whom to ask; nobody where everything is known by itself.
    pub demand: Option<Demand>,
    /// Where ejections are counted.
    pub events: Option<Events>,
}

impl Follow {
    /// Runs for as long as the process lives. The gate opens once everything that is served at first is
    /// known.
    pub async fn run(self, gate: Option<Gate>) {
        let mut gate = gate;
        let (mut state, mut served) = (self.state.changed(), self.served.changed());
        let mut asked: HashSet<Box<str>> = HashSet::new();
        let mut tick = tokio::time::interval(TICK);
        let mut ejections = 0;
        loop {
            state.mark_unchanged();
            served.mark_unchanged();
            if self.ask(&mut asked).await {
                continue;
            }
            self.refresh();
            if self.served.load().is_complete
                && let Some(gate) = gate.take()
            {
                gate.done();
            }
            let gone = tokio::select! {
                changed = state.changed() => changed.is_err(),
                changed = served.changed() => changed.is_err(),
                _ = tick.tick() => {
                    self.count(&mut ejections);
                    false
                }
            };
            if gone {
                return;
            }
        }
    }

    /// Brings every destination up to date, and what is near to this waypoint.
    pub fn refresh(&self) {
        let snapshot = self.state.load();
        let here = self.here(&snapshot);
        self.destinations.stand(here.clone());
        let place = ClientPlace {
            network: &self.node.network,
            cluster: &self.node.cluster,
            node: &self.node.name,
            locality: &here.locality,
        };
        self.destinations.follow(&snapshot, place);
    }

    /// Where this waypoint is: what its settings say, else where the mesh knows its pod to be.
    fn here(&self, snapshot: &Snapshot) -> Place {
        let uid = self.node.workload();
        let pod = uid.and_then(|uid| snapshot.workload_by_uid(&uid).found());
        let told = self.node.locality != Locality::default();
        let locality = pod.filter(|_| !told).map(|it| it.locality().clone());
        Place {
            locality: locality.unwrap_or_else(|| self.node.locality.clone()),
            labels: pod.map(|it| it.labels().into()).unwrap_or_default(),
        }
    }

    /// Shows how many endpoints are left out. `before` is how often any was, as counted so far.
    fn count(&self, before: &mut u64) {
        let Some(events) = &self.events else { return };
        let counts = self
            .destinations
            .all()
            .into_iter()
            .map(|it| it.cluster.counts());
        let (mut out, mut ever) = (0_usize, 0_u64);
        for counts in counts {
            out += counts.ejected;
            ever += counts.ejections;
        }
        events.ejected.set(i64::try_from(out).unwrap_or(i64::MAX));
        events.ejections.inc_by(ever.saturating_sub(*before));
        *before = ever.max(*before);
    }

    /// Asks for names that are new; whether there were any.
    async fn ask(&self, asked: &mut HashSet<Box<str>>) -> bool {
        let Some(demand) = &self.demand else {
            return false;
        };
        let mut wanted: HashSet<Box<str>> = HashSet::new();
        wanted.extend(self.node.workload());
        for (key, _) in self.served.load().services() {
            wanted.insert(key.to_string().into());
        }
        // hosts outside of the mesh have no namespace, and nobody to ask about
        let all = self.destinations.all();
        for destination in all.iter().filter(|it| !it.key.service.namespace.is_empty()) {
            wanted.insert(destination.key.service.to_string().into());
        }
        asked.retain(|name| wanted.contains(name));
        let new: Vec<_> = wanted
            .into_iter()
            .filter(|it| !asked.contains(it))
            .collect();
        if new.is_empty() {
            return false;
        }
        let questions = new
            .iter()
            .map(|name| demand.fetch(wire::address::TYPE_URL, name, ASK));
        let answers = futures_util::future::join_all(questions).await;
        for (name, answer) in new.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    asked.insert(name);
                }
                Err(error) => tracing::warn!(%error, "a name is not known yet"),
            }
        }
        true
    }
}
