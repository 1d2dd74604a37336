//! Fuzz target of `waypoint::testing::signed_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::signed_token(data));
