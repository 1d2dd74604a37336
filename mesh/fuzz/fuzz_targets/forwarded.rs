//! Fuzz target of `mesh::testing::fuzz::forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mesh::testing::fuzz::forwarded(data));
