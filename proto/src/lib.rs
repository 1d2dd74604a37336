//! What goes over the wire: generated messages, clients and servers. No logic.
//!
//! `wire/` holds the definitions, README.md says who owns each contract. Only `mesh::wire`,
//! `mesh::zds` and the few files that speak gRPC use these types.

pub mod type_urls;

/// Workloads and services (`istio.workload`).
#[expect(clippy::large_enum_variant, reason = "generated")]
pub mod workload {
    tonic::include_proto!("istio.workload");
}

/// Authorization policies (`istio.security`).
pub mod security {
    tonic::include_proto!("istio.security");
}

/// The certificate service (`istio.v1.auth`).
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod auth {
    tonic::include_proto!("istio.v1.auth");
}

/// Pod hand-over on one node (`istio.workload.zds`).
pub mod zds {
    tonic::include_proto!("istio.workload.zds");
}

/// Delta discovery (`envoy.service.discovery.v3`).
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod discovery {
    tonic::include_proto!("envoy.service.discovery.v3");
}

/// External authorization (`envoy.service.auth.v3`).
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod external_auth {
    tonic::include_proto!("envoy.service.auth.v3");
}

/// Weft's own messages (`weft.mesh.v1`).
pub mod weft {
    tonic::include_proto!("weft.mesh.v1");
}

/// What waypoints are told (`weft.waypoint.v1`). The message files say what the fields mean.
#[expect(missing_docs, reason = "generated")]
pub mod waypoint {
    tonic::include_proto!("weft.waypoint.v1");
}
