//! The agent's pages: readiness for everybody, metrics and the log level on loopback. Paths: docs/compat.md#admin-endpoints.

use anyhow::Context;
use http::Method;
use mesh::admin::{self, Answer, Routes};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, task};
use mesh::net::listen::{SocketOptions, bind};
use mesh::telemetry::{log, metrics, process};
use tokio::net::TcpListener;

use crate::config::Pages;
use crate::metrics::Metrics;

/// Listens on both addresses and serves until the drain begins.
///
/// # Errors
/// When an address cannot be listened on.
pub async fn serve(
    addresses: &Pages,
    gates: Gates,
    log: log::Handle,
    ours: &Metrics,
    drain: &drain::Watch,
) -> anyhow::Result<()> {
    let registry = metrics::Metrics::default();
    registry.register(|registry| {
        process::register(registry, "cni-agent");
        ours.register(registry);
    });
    let ready =
        move |_| -> std::future::Ready<Answer> { std::future::ready(admin::ready_page(&gates)) };
    let readiness =
        Routes::default()
            .with(Method::GET, "/readyz", ready)
            .with(Method::GET, "/healthz", |_| {
                std::future::ready(Answer::text(http::StatusCode::OK, "ok\n"))
            });
    let admin = Routes::default()
        .with(Method::GET, "/metrics", move |question| {
            std::future::ready(admin::metrics_page(&registry, &question))
        })
        .with(Method::POST, "/logging", move |question| {
            std::future::ready(admin::log_level_page(&log, &question.query))
        });
    for (address, routes) in [(addresses.ready, readiness), (addresses.admin, admin)] {
        let listener = bind(address, &SocketOptions::default())
            .and_then(TcpListener::from_std)
            .with_context(|| format!("cannot listen on {address}"))?;
        task::spawn("pages", admin::serve(listener, routes, drain.clone()));
    }
    Ok(())
}
