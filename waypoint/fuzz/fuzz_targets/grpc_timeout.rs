//! Fuzz target of `waypoint::testing::grpc_timeout`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::grpc_timeout(data));
