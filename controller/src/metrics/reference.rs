//! Pure. What the reference page says of this program's metrics; a journey holds it against the running program.

use mesh::telemetry::metrics::Described;

/// Every metric: name, type, labels, meaning.
pub const METRICS: &[Described] = &[
    (
        "weft_controller_object_events_total",
        "counter",
        "kind",
        "objects that changed",
    ),
    (
        "weft_controller_recomputed_total",
        "counter",
        "kind",
        "outputs computed anew, by kind of the object they stand for",
    ),
    (
        "weft_controller_batches_total",
        "counter",
        "",
        "batches of changes taken in",
    ),
    (
        "weft_controller_certificate_requests_total",
        "counter",
        "result",
        "certificate requests: signed, or why not",
    ),
    (
        "weft_controller_resources_changed_total",
        "counter",
        "type",
        "those that came out different",
    ),
    (
        "weft_controller_resources_removed_total",
        "counter",
        "type",
        "resources that are gone",
    ),
    (
        "weft_controller_xds_pushes_total",
        "counter",
        "type",
        "responses sent",
    ),
    (
        "weft_controller_xds_resources_total",
        "counter",
        "type",
        "resources sent",
    ),
    (
        "weft_controller_xds_removals_total",
        "counter",
        "type",
        "names sent as gone",
    ),
    (
        "weft_controller_xds_sent_bytes_total",
        "counter",
        "type",
        "content sent",
    ),
    (
        "weft_controller_xds_acks_total",
        "counter",
        "type",
        "responses taken",
    ),
    (
        "weft_controller_xds_nacks_total",
        "counter",
        "type",
        "responses not taken in full",
    ),
    (
        "weft_controller_xds_refused_total",
        "counter",
        "reason",
        "streams refused",
    ),
    ("weft_controller_xds_streams", "gauge", "", "streams open"),
];
