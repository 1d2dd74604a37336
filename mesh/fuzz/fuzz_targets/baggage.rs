//! Fuzz target of `mesh::testing::fuzz::baggage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::baggage(data));
