//! Pure. What the reference page says of this program's metrics; a journey holds it against the running program.

use mesh::telemetry::metrics::Described;

/// Labels of the connection metrics, in order.
const CONNECTION: &str = "reporter, source_workload, source_canonical_service, source_canonical_revision, \
    source_workload_namespace, source_principal, source_app, source_version, source_cluster, destination_workload, \
    destination_workload_namespace, destination_principal, destination_app, destination_version, destination_service, \
    destination_canonical_service, destination_canonical_revision, destination_service_name, \
    destination_service_namespace, destination_cluster, request_protocol, response_flags, connection_security_policy";

/// Labels of the request metrics, in order.
const REQUEST: &str = "reporter, source_workload, source_canonical_service, source_canonical_revision, \
    source_workload_namespace, source_principal, source_app, source_version, source_cluster, destination_workload, \
    destination_workload_namespace, destination_principal, destination_app, destination_version, destination_service, \
    destination_canonical_service, destination_canonical_revision, destination_service_name, \
    destination_service_namespace, destination_cluster, request_protocol, response_code, grpc_response_status, \
    response_flags, connection_security_policy";

/// Every metric: name, type, labels, meaning.
pub const METRICS: &[Described] = &[
    (
        "istio_requests_total",
        "counter",
        REQUEST,
        "requests that ended",
    ),
    (
        "istio_request_duration_milliseconds",
        "histogram",
        REQUEST,
        "from the head of a request to the end of its answer",
    ),
    (
        "istio_request_bytes",
        "histogram",
        REQUEST,
        "size of requests at the client's side, heads included",
    ),
    (
        "istio_response_bytes",
        "histogram",
        REQUEST,
        "size of answers at the client's side, heads included",
    ),
    (
        "istio_request_messages_total",
        "counter",
        REQUEST,
        "gRPC messages from clients",
    ),
    (
        "istio_response_messages_total",
        "counter",
        REQUEST,
        "gRPC messages to clients",
    ),
    (
        "istio_tcp_connections_opened_total",
        "counter",
        CONNECTION,
        "connections of opaque bytes that reached their destination",
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
        "weft_waypoint_requests_failed_total",
        "counter",
        "reason",
        "requests that did not end as they should, by Weft's own reason",
    ),
    (
        "weft_waypoint_retries_total",
        "counter",
        "reason",
        "attempts after the first, by the reason of the attempt before",
    ),
    ("weft_waypoint_requests_open", "gauge", "", "open requests"),
    ("weft_waypoint_tunnels_open", "gauge", "", "open tunnels"),
    (
        "weft_waypoint_endpoints_ejected",
        "gauge",
        "",
        "endpoints that are ejected as outliers now",
    ),
    (
        "weft_waypoint_ejections_total",
        "counter",
        "",
        "endpoints that were ejected as outliers",
    ),
    (
        "weft_waypoint_mirrored_total",
        "counter",
        "",
        "copies of requests sent to mirrors",
    ),
    (
        "weft_waypoint_access_log_lines_total",
        "counter",
        "",
        "lines of the access log that were written",
    ),
    (
        "weft_waypoint_access_log_dropped_total",
        "counter",
        "",
        "lines that were dropped because the writer was behind",
    ),
    (
        "weft_waypoint_spans_total",
        "counter",
        "",
        "spans that a collector has taken",
    ),
    (
        "weft_waypoint_spans_dropped_total",
        "counter",
        "",
        "spans that were dropped because their collector was behind or away",
    ),
];
