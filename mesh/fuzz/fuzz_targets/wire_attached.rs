//! Fuzz target of `mesh::testing::fuzz::wire_attached`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::wire_attached(data));
