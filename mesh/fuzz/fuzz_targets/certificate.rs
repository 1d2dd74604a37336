//! Fuzz target of `mesh::testing::fuzz::certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::certificate(data));
