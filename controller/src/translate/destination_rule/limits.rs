//! Pure. How many connections and requests at once.

use std::time::Duration;

use mesh::model::destination::{Limits, Upgrade};
use objects::istio::Span;
use objects::istio::destination_rule::ConnectionPool;
use objects::istio::destination_rule::pool::{H2Upgrade, HttpPool, TcpPool};
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;
use crate::translate::traffic::Traffic;

pub(super) fn read(
    pool: Option<&ConnectionPool>,
    path: &Path,
    traffic: &Traffic,
    remarks: &mut Remarks,
) -> Limits {
    let mut limits = Limits {
        connect_timeout: traffic.connect_timeout,
        ..Limits::default()
    };
    if traffic.upgrades {
        limits.upgrade = Upgrade::ToHttp2;
    }
    if let Some(tcp) = pool.and_then(|it| it.tcp.as_ref()) {
        connections(tcp, &path.clone().key("tcp"), &mut limits, remarks);
    }
    if let Some(http) = pool.and_then(|it| it.http.as_ref()) {
        requests(http, &path.clone().key("http"), &mut limits, remarks);
    }
    limits
}

fn connections(tcp: &TcpPool, path: &Path, limits: &mut Limits, remarks: &mut Remarks) {
    let at = |key: &str| path.clone().key(key);
    limits.connections = count(tcp.max_connections, u32::MAX, at("maxConnections"), remarks);
    if let Some(Span(timeout)) = tcp.connect_timeout {
        if timeout < Duration::from_millis(1) {
            remarks.invalid(at("connectTimeout"), "at least 1ms");
        }
        limits.connect_timeout = Some(timeout);
    }
    if let Some(Span(timeout)) = tcp.idle_timeout {
        limits.tcp_idle_timeout = Some(timeout).filter(|it| !it.is_zero());
    }
    let unheard = [
        (tcp.tcp_keepalive.is_some(), "tcpKeepalive"),
        (
            tcp.max_connection_duration.is_some(),
            "maxConnectionDuration",
        ),
    ];
    for (_, key) in unheard.into_iter().filter(|(is_there, _)| *is_there) {
        remarks.add(Rule::NotHonoured, at(key), "waypoints do not honour it yet");
    }
}

fn requests(http: &HttpPool, path: &Path, limits: &mut Limits, remarks: &mut Remarks) {
    let at = |key: &str| path.clone().key(key);
    let max = u32::MAX;
    limits.pending = count(
        http.http1_max_pending_requests,
        max,
        at("http1MaxPendingRequests"),
        remarks,
    );
    limits.requests = count(
        http.http2_max_requests,
        max,
        at("http2MaxRequests"),
        remarks,
    );
    limits.requests_per_connection = count(
        http.max_requests_per_connection,
        0,
        at("maxRequestsPerConnection"),
        remarks,
    );
    limits.retries = count(http.max_retries, max, at("maxRetries"), remarks);
    limits.streams = count(
        http.max_concurrent_streams,
        max,
        at("maxConcurrentStreams"),
        remarks,
    );
    if let Some(Span(timeout)) = http.idle_timeout {
        limits.idle_timeout = Some(timeout).filter(|it| !it.is_zero());
    }
    limits.upgrade = match (http.use_client_protocol, http.h2_upgrade_policy) {
        (true, H2Upgrade::Upgrade) => {
            let reason = "with h2UpgradePolicy UPGRADE the client's version does not count";
            remarks.invalid(at("useClientProtocol"), reason);
            Upgrade::AsClient
        }
        (true, _) => Upgrade::AsClient,
        (false, H2Upgrade::Upgrade) => Upgrade::ToHttp2,
        (false, H2Upgrade::DoNotUpgrade) => Upgrade::AsDeclared,
        (false, H2Upgrade::Default) => limits.upgrade,
    };
    if http.http2_keep_alive.is_some() {
        let reason = "waypoints do not honour it yet";
        remarks.add(Rule::NotHonoured, at("http2KeepAlive"), reason);
    }
}

/// A count, where 0 is as if nothing was said.
fn count(given: i64, otherwise: u32, path: Path, remarks: &mut Remarks) -> u32 {
    match u32::try_from(given) {
        Ok(0) => otherwise,
        Ok(count) if given <= i64::from(i32::MAX) => count,
        _ => {
            remarks.invalid(path, format!("a number from 0 to {}", i32::MAX));
            otherwise
        }
    }
}
