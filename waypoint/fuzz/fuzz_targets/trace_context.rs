//! Fuzz target of `waypoint::testing::trace_context`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::trace_context(data));
