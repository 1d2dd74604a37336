//! Fuzz target of `mesh::testing::fuzz::spiffe_id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::spiffe_id(data));
