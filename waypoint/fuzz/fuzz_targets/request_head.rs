//! Fuzz target of `waypoint::testing::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::request_head(data));
