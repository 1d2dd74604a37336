//! Fuzz target of `controller::testing::signing_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| controller::testing::signing_request(data));
