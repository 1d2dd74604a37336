//! Compiles `wire/` with protox, so that no protoc binary is needed.

/// Message files of others' contracts and what extends them, relative to `wire/`.
const PUBLIC: [&str; 8] = [
    "istio/workload.proto",
    "istio/authorization.proto",
    "istio/citadel.proto",
    "istio/zds.proto",
    "envoy/discovery.proto",
    "envoy/external_auth.proto",
    "mesh/origin.proto",
    "mesh/labels.proto",
];

/// What waypoints are told. They use messages of [`PUBLIC`] files.
const WAYPOINT: [&str; 3] = [
    "mesh/http.proto",
    "mesh/attached.proto",
    "mesh/waypoint.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=wire");
    // Versions of resources are hashes of their bytes, so maps must encode in one order.
    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".")
        .compile_fds(protox::compile(PUBLIC, ["wire"])?)?;
    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".")
        .extern_path(".istio.security", "crate::security")
        .extern_path(".weft.mesh.v1", "crate::weft")
        .compile_fds(protox::compile(WAYPOINT, ["wire"])?)?;
    Ok(())
}
