//! Pure. What the reference page says of this program's metrics; a journey holds it against the running program.

use mesh::telemetry::metrics::Described;

/// Labels of the connection metrics, in order.
const CONNECTION: &str = "reporter, source_workload, source_canonical_service, source_canonical_revision, \
    source_workload_namespace, source_principal, source_app, source_version, source_cluster, destination_service, \
    destination_service_namespace, destination_service_name, destination_workload, destination_canonical_service, \
    destination_canonical_revision, destination_workload_namespace, destination_principal, destination_app, \
    destination_version, destination_cluster, request_protocol, response_flags, connection_security_policy";

/// Every metric: name, type, labels, meaning.
pub const METRICS: &[Described] = &[
    (
        "istio_tcp_connections_opened_total",
        "counter",
        CONNECTION,
        "connections that reached their destination",
    ),
    (
        "istio_tcp_connections_closed_total",
        "counter",
        CONNECTION,
        "those of them that have ended; the flag says how",
    ),
    (
        "istio_tcp_sent_bytes_total",
        "counter",
        CONNECTION,
        "bytes from destination to source, counted while they flow",
    ),
    (
        "istio_tcp_received_bytes_total",
        "counter",
        CONNECTION,
        "bytes from source to destination, counted while they flow",
    ),
    (
        "istio_tcp_connections_failed_total",
        "counter",
        CONNECTION,
        "connections that were refused or did not reach their destination",
    ),
    (
        "istio_tcp_sockets_open",
        "gauge",
        "reporter",
        "accepted TCP connections that are open; a tunnel is one",
    ),
    (
        "istio_on_demand_dns_total",
        "counter",
        "source_workload, source_canonical_service, source_canonical_revision, source_workload_namespace, \
            source_principal, source_app, source_version, source_cluster, hostname",
        "look-ups of workloads that have a host name and no address",
    ),
    (
        "istio_xds_connection_terminations_total",
        "counter",
        "reason",
        "discovery streams that ended: ConnectionError, Error, Reconnect, Complete",
    ),
    (
        "istio_xds_message_total",
        "counter",
        "url",
        "discovery responses, by type",
    ),
    (
        "istio_xds_message_bytes_total",
        "counter",
        "url",
        "their size",
    ),
    (
        "workload_manager_active_proxy_count",
        "gauge",
        "",
        "pods whose doors are open",
    ),
    (
        "workload_manager_pending_proxy_count",
        "gauge",
        "",
        "pods that wait for their doors",
    ),
    (
        "workload_manager_proxies_started_total",
        "counter",
        "",
        "pods whose doors were opened",
    ),
    (
        "workload_manager_proxies_stopped_total",
        "counter",
        "",
        "pods whose doors were closed",
    ),
    (
        "tokio_num_workers",
        "gauge",
        "",
        "threads: of the data path and of the control runtime",
    ),
    (
        "tokio_global_queue_depth",
        "gauge",
        "",
        "tasks that wait for a thread to take them",
    ),
    (
        "tokio_num_alive_tasks",
        "gauge",
        "",
        "tasks that are not finished",
    ),
    (
        "tokio_worker_total_busy_duration_seconds",
        "gauge",
        "worker",
        "time that a thread was busy; data path threads are numbered, the others are called control",
    ),
    (
        "tokio_worker_park_count",
        "gauge",
        "worker",
        "times that a thread went to sleep",
    ),
    (
        "tokio_worker_park_unpark_count",
        "gauge",
        "worker",
        "times that a thread went to sleep or was woken",
    ),
    (
        "weft_ztunnel_flows_ended_total",
        "counter",
        "direction, reason",
        "connections that ended, with the reason of reasons.md",
    ),
    (
        "weft_ztunnel_flows_open",
        "gauge",
        "",
        "connections that are open or on their way",
    ),
    (
        "weft_ztunnel_bytes_total",
        "counter",
        "",
        "bytes of connections that ended, both directions",
    ),
    (
        "weft_ztunnel_handshakes_total",
        "counter",
        "direction, result",
        "TLS handshakes: ok, or the reason they failed for",
    ),
    (
        "weft_ztunnel_handshake_duration_seconds",
        "histogram",
        "direction",
        "time of TLS handshakes that succeeded",
    ),
    (
        "weft_ztunnel_tunnels_open",
        "gauge",
        "direction",
        "open tunnels",
    ),
    (
        "weft_ztunnel_certificate_expiry_seconds",
        "gauge",
        "identity",
        "seconds until a certificate expires; negative when it has",
    ),
    (
        "weft_ztunnel_xds_connected",
        "gauge",
        "",
        "1 while a discovery stream is open and answered",
    ),
    (
        "weft_ztunnel_xds_last_message_age_seconds",
        "gauge",
        "",
        "seconds since the last discovery response",
    ),
    (
        "weft_ztunnel_xds_apply_seconds_total",
        "counter",
        "",
        "from the receipt of responses until they were in force, added up",
    ),
    (
        "weft_ztunnel_xds_resources",
        "gauge",
        "url",
        "resources held",
    ),
    (
        "weft_ztunnel_xds_rejected_total",
        "counter",
        "url",
        "resources that could not be taken",
    ),
    (
        "weft_ztunnel_policy_denials_total",
        "counter",
        "policy, rule, reason",
        "connections that a policy refused or cut; `-` for both when no ALLOW policy matched",
    ),
    (
        "weft_ztunnel_policy_dry_runs_total",
        "counter",
        "policy, result",
        "connections that a policy which only reports would have dealt with: admits, does not admit, refuses",
    ),
    (
        "weft_ztunnel_policies_rejected",
        "gauge",
        "",
        "policies that could not be read and have no earlier version; where they may apply, nobody new is admitted",
    ),
];
