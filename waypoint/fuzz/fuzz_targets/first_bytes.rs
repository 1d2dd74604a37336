//! Fuzz target of `waypoint::testing::first_bytes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::first_bytes(data));
