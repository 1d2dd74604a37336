//! The node's own rules with the addresses of all enrolled pods: one owner, who also puts them back when somebody
//! has changed them (contract: host rules, docs/compat.md#host-rules).

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use mesh::telemetry::report;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use super::guard::{Attention, SETTLE};
use crate::host;
use crate::metrics::Metrics;
use crate::nft::{self, Element, Ruleset};
use crate::notices::Notices;
use crate::rules::Settings;

/// Why the node's rules are not as they should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot change the node's nftables")]
    Change(#[from] nft::Error),
    #[error("cannot read the node's nftables")]
    Read(#[source] std::io::Error),
    #[error("work on the node's nftables broke off")]
    Work(#[from] JoinError),
}

/// By the uid of a pod, the addresses that the kubelet probes it at.
type Wanted = BTreeMap<String, Vec<IpAddr>>;

/// The node's rules. Clones share one state.
#[derive(Debug, Clone)]
pub(super) struct Probes {
    settings: Arc<Settings>,
    kubelet_user: u32,
    metrics: Metrics,
    /// Held while the kernel is told, so that no two changes meet.
    wanted: Arc<Mutex<Wanted>>,
}

impl Probes {
    pub(super) fn new(settings: Arc<Settings>, kubelet_user: u32, metrics: Metrics) -> Self {
        Probes {
            settings,
            kubelet_user,
            metrics,
            wanted: Arc::default(),
        }
    }

    /// Makes the node's table anew, for exactly these pods.
    pub(super) async fn install(&self, pods: Wanted) -> Result<(), Error> {
        let mut wanted = self.wanted.lock().await;
        *wanted = pods;
        self.replace(&wanted).await
    }

    /// Lets the kubelet reach a pod at these addresses, and no longer at those before.
    pub(super) async fn set(&self, uid: &str, addresses: &[IpAddr]) -> Result<(), Error> {
        let mut wanted = self.wanted.lock().await;
        let before = wanted.insert(uid.to_owned(), addresses.to_vec());
        self.change(&wanted, uid, before.unwrap_or_default()).await
    }

    /// Takes a pod's addresses out, but for those that another pod has by now.
    pub(super) async fn remove(&self, uid: &str) -> Result<(), Error> {
        let mut wanted = self.wanted.lock().await;
        let before = wanted.remove(uid).unwrap_or_default();
        self.change(&wanted, uid, before).await
    }

    /// Whether the kernel holds these addresses for the pod.
    pub(super) async fn has(&self, addresses: &[IpAddr]) -> Result<bool, Error> {
        let wanted = self.wanted.lock().await;
        let held = spawn_blocking(host::pods).await?.map_err(Error::Read)?;
        drop(wanted);
        let held = held.unwrap_or_default();
        let is_captured = |address: &&IpAddr| address.is_ipv4() || self.settings.ipv6;
        Ok(addresses
            .iter()
            .filter(is_captured)
            .all(|address| held.iter().any(|element| element.address == *address)))
    }

    /// Puts the rules back whenever somebody has changed them. Never returns.
    pub(super) async fn guard(self, attention: Attention) {
        let notices = File::open("/proc/thread-self/ns/net")
            .and_then(|own| Notices::of(own.as_fd(), host::tables().to_vec()))
            .inspect_err(|error| {
                tracing::warn!(
                    error = report(error),
                    "changes of the node's nftables are seen late: only when the interval is over"
                );
            });
        let mut notices = notices.ok();
        loop {
            attention.wait(&mut notices).await;
            if let Err(error) = self.restore().await {
                tracing::error!(
                    error = report(&error),
                    "the node's nftables are not as they should be"
                );
            }
            sleep(SETTLE).await;
        }
    }

    async fn restore(&self) -> Result<(), Error> {
        let wanted = self.wanted.lock().await;
        let ruleset = self.ruleset(&wanted);
        let is_installed = spawn_blocking(move || host::is_installed(&ruleset)).await?;
        match is_installed.map_err(Error::Read)? {
            true => Ok(()),
            false => self.put_back(&wanted).await,
        }
    }

    async fn put_back(&self, wanted: &Wanted) -> Result<(), Error> {
        self.replace(wanted).await?;
        self.metrics.count_node_restored();
        tracing::warn!("somebody changed the node's nftables; put back");
        Ok(())
    }

    async fn change(
        &self,
        wanted: &MutexGuard<'_, Wanted>,
        uid: &str,
        before: Vec<IpAddr>,
    ) -> Result<(), Error> {
        let is_stale = |address: &IpAddr| !wanted.values().flatten().any(|it| it == address);
        let stale: Vec<_> = before.into_iter().filter(is_stale).collect();
        let (stale, fresh) = (
            elements(uid, &stale),
            elements(uid, wanted.get(uid).into_iter().flatten()),
        );
        let settings = Arc::clone(&self.settings);
        let changed = spawn_blocking(move || {
            host::remove_pod(&settings, &stale)?;
            host::add_pod(&settings, &fresh)
        })
        .await?;
        match changed {
            Ok(()) => Ok(()),
            // Somebody may have taken the table away.
            Err(_) => self.put_back(wanted).await,
        }
    }

    async fn replace(&self, wanted: &Wanted) -> Result<(), Error> {
        let ruleset = self.ruleset(wanted);
        Ok(spawn_blocking(move || host::install(ruleset)).await??)
    }

    fn ruleset(&self, wanted: &Wanted) -> Ruleset {
        // Of two pods with one address the later to come is the one that lives; any order is as good for the kernel.
        let by_address: BTreeMap<&IpAddr, &String> = wanted
            .iter()
            .flat_map(|(uid, addresses)| addresses.iter().map(move |address| (address, uid)))
            .collect();
        let pods: Vec<_> = by_address
            .into_iter()
            .map(|(address, uid)| Element::new(*address, uid.as_str()))
            .collect();
        host::ruleset(&self.settings, self.kubelet_user, &pods)
    }
}

fn elements<'a>(uid: &str, addresses: impl IntoIterator<Item = &'a IpAddr>) -> Vec<Element> {
    addresses
        .into_iter()
        .map(|address| Element::new(*address, uid))
        .collect()
}
