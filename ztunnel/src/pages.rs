//! The pages of this program: admin on loopback, metrics, readiness. Paths: docs/compat.md#admin-endpoints.

use std::net::SocketAddr;

use anyhow::Context;
use http::{Method, StatusCode};
use mesh::admin::{self, Answer, Routes};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, task};
use mesh::telemetry::{log, metrics};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::Admin;
use crate::dump::Dump;

/// What the pages show.
pub struct Pages {
    /// What is still missing before we are ready.
    pub gates: Gates,
    /// All metrics.
    pub registry: metrics::Metrics,
    /// The log filter.
    pub log: log::Handle,
    /// The configuration dump.
    pub dump: Dump,
    /// Told when somebody asks us to quit.
    pub quit: mpsc::Sender<()>,
}

impl Pages {
    /// Listens on all three addresses and serves until the drain begins.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn serve(self, addresses: &Admin, drain: &drain::Watch) -> anyhow::Result<()> {
        let Self {
            gates,
            registry,
            log,
            dump,
            quit,
        } = self;
        let ready = Routes::default().with(Method::GET, "/healthz/ready", move |_| {
            let answer = admin::ready_page(&gates);
            async move { answer }
        });
        let show = move |question| {
            let answer = admin::metrics_page(&registry, &question);
            async move { answer }
        };
        let stats = Routes::default()
            .with(Method::GET, "/metrics", show.clone())
            .with(Method::GET, "/stats/prometheus", show);
        let pages = Routes::default()
            .with(Method::GET, "/config_dump", move |_| {
                let dump = dump.clone();
                async move { Answer::json(&dump.take().await) }
            })
            .with(Method::POST, "/logging", move |question| {
                let answer = admin::log_level_page(&log, &question.query);
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
            task::spawn("pages", admin::serve(listener, routes, drain.clone()));
        }
        Ok(())
    }
}

/// Listens on an address; on IPv4 where the machine has no IPv6 and any address will do.
async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            let ipv4 = SocketAddr::from(([0, 0, 0, 0], address.port()));
            TcpListener::bind(ipv4)
                .await
                .with_context(|| format!("cannot listen on {ipv4}"))
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
