//! Fuzz target of `waypoint::testing::one_cookie`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::one_cookie(data));
