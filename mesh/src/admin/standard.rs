//! The pages that both proxies have: readiness, metrics, dump, log level, quit.
//! Paths: docs/compat.md#admin-endpoints.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Answer, Routes, log_level_page, metrics_page, ready_page, serve};
use crate::lifecycle::ready::Gates;
use crate::lifecycle::{drain, task};
use crate::telemetry::{log, metrics};

/// What the pages show; `D` takes a dump.
pub struct Standard<D> {
    /// What is still missing before we are ready.
    pub gates: Gates,
    /// All metrics.
    pub registry: metrics::Metrics,
    /// The log filter.
    pub log: log::Handle,
    /// Takes the configuration dump.
    pub dump: D,
    /// Told when somebody asks us to quit.
    pub quit: mpsc::Sender<()>,
}

/// Where the pages are.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Dumps, log level, quit: loopback only.
    pub admin: SocketAddr,
    /// Metrics.
    pub stats: SocketAddr,
    /// Readiness.
    pub ready: SocketAddr,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct NoPages {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl<D, F> Standard<D>
where
    D: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Value> + Send + 'static,
{
    /// Listens on all three addresses and serves until the drain begins.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn serve(self, addresses: Addresses, drain: &drain::Watch) -> Result<(), NoPages> {
        let Self {
            gates,
            registry,
            log,
            dump,
            quit,
        } = self;
        let ready = Routes::default().with(Method::GET, "/healthz/ready", move |_| {
            let answer = ready_page(&gates);
            async move { answer }
        });
        let show = move |question| {
            let answer = metrics_page(&registry, &question);
            async move { answer }
        };
        let stats = Routes::default()
            .with(Method::GET, "/metrics", show.clone())
            .with(Method::GET, "/stats/prometheus", show);
        let pages = Routes::default()
            .with(Method::GET, "/config_dump", move |_| {
                let dump = dump.clone();
                async move { Answer::json(&dump().await) }
            })
            .with(Method::POST, "/logging", move |question| {
                let answer = log_level_page(&log, &question.query);
                async move { answer }
            })
            .with(Method::POST, "/quitquitquit", move |_| {
                // A full box means that somebody has asked already.
                let _ = quit.try_send(());
                async { Answer::text(StatusCode::OK, "shutting down\n") }
            });
        for (address, routes) in [
            (addresses.ready, ready),
            (addresses.stats, stats),
            (addresses.admin, pages),
        ] {
            let listener = listen(address).await?;
            task::spawn("pages", serve(listener, routes, drain.clone()));
        }
        Ok(())
    }
}

/// Listens on an address; on IPv4 where the machine has no IPv6 and any address will do.
async fn listen(address: SocketAddr) -> Result<TcpListener, NoPages> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            let address = SocketAddr::from(([0, 0, 0, 0], address.port()));
            let listener = TcpListener::bind(address).await;
            listener.map_err(|source| NoPages { address, source })
        }
        Err(source) => Err(NoPages { address, source }),
    }
}
