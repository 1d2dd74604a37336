//! Fuzz target of `mesh::testing::fuzz::connect_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::connect_head(data));
