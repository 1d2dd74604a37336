//! Fuzz target of `mesh::testing::fuzz::zds_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::zds_message(data));
