//! Fuzz target of `waypoint::testing::key_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::key_set(data));
