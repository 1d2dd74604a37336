//! Where objects are read and statuses are written: a directory of one controller, or an API server of several.

use std::sync::Arc;

use mesh::lifecycle::{drain, task};
use objects::api::Api;
use objects::sink::Sink;
use objects::sink::api_server::ApiServerSink;
use objects::sink::directory::DirectorySink;
use tokio::sync::watch;

use super::Outlets;
use crate::config::Objects;
use crate::deploy::{self, Deployer};
use crate::lead::Candidate;
use crate::status::{OURS, Writer};
use crate::watch::Origin;

/// See the module.
pub(super) struct Place {
    /// Where they are read.
    pub(super) origin: Origin,
    sink: Arc<dyn Sink>,
    /// Whether this process writes.
    leads: watch::Receiver<bool>,
    /// Its part in the election, where there are several.
    candidate: Option<Candidate>,
}

impl Place {
    /// Takes up the configuration; an API server may be away.
    pub(super) async fn open(objects: Objects, system_namespace: &str) -> anyhow::Result<Self> {
        let (access, me) = match objects {
            Objects::Directory(directory) => {
                return Ok(Self {
                    sink: Arc::new(DirectorySink::new(&directory)),
                    origin: Origin::Directory(directory),
                    leads: watch::Sender::new(true).subscribe(),
                    candidate: None,
                });
            }
            Objects::ApiServer { access, me } => (access, me),
        };
        let api = Api::open(&access).await?;
        tracing::info!(%access, me, "objects are those of an API server");
        let (candidate, leads) = Candidate::new(api.clone(), system_namespace, &me);
        Ok(Self {
            sink: Arc::new(ApiServerSink::new(api.clone(), OURS)),
            origin: Origin::ApiServer(api),
            leads,
            candidate: Some(candidate),
        })
    }

    /// Writes statuses, and what is made for Gateways, while this process may, until it drains; then the next one may
    /// at once.
    pub(super) fn write(
        self,
        deployment: deploy::Settings,
        news: deploy::News,
        outlets: &Outlets,
        drain: &drain::Watch,
    ) {
        let (inbox, statuses) = (outlets.inbox.clone(), outlets.statuses.clone());
        let sink = Arc::clone(&self.sink);
        let deployer = Deployer::new(deployment, news, inbox, sink, statuses.clone());
        let deploying = deployer.run(self.leads.clone());
        let deploying = task::spawn("deployer", super::until_drain(drain.clone(), deploying));
        let writing = Writer::new(self.sink, statuses).run(self.leads);
        let writing = task::spawn("statuses", super::until_drain(drain.clone(), writing));
        let writing = async { tokio::join!(deploying, writing) };
        let Some(candidate) = self.candidate else {
            return;
        };
        let (until, hold) = (drain.clone(), drain.hold());
        task::spawn("leadership", async move {
            // Whoever has stopped writing gives the lease back, not before.
            candidate.run(until, writing).await;
            drop(hold);
        });
    }
}
