//! Compiles `wire/` with protox, so that no protoc binary is needed.

/// Every message file, relative to `wire/`.
const FILES: [&str; 7] = [
    "istio/workload.proto",
    "istio/authorization.proto",
    "istio/citadel.proto",
    "istio/zds.proto",
    "envoy/discovery.proto",
    "envoy/external_auth.proto",
    "mesh/origin.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=wire");
    let descriptors = protox::compile(FILES, ["wire"])?;
    // Versions of resources are hashes of their bytes, so maps must encode in one order.
    tonic_prost_build::configure()
        .btree_map(".")
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
