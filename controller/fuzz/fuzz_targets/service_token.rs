//! Fuzz target of `controller::testing::service_token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| controller::testing::service_token(data));
