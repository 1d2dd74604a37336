//! Fuzz target of `waypoint::testing::uniform_path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| waypoint::testing::uniform_path(data));
