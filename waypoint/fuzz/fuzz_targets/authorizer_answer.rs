//! Fuzz target of `waypoint::testing::authorizer_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::authorizer_answer(data));
