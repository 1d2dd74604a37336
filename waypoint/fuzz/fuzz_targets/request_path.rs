//! Fuzz target of the path of requests: `waypoint/tests/requests/noise.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests of requests use all of it")]

#[path = "../../tests/requests/app.rs"]
mod app;
#[path = "../../tests/requests/client.rs"]
mod client;
#[path = "../../tests/requests/noise.rs"]
mod noise;
#[path = "../../tests/requests/world.rs"]
mod world;

libfuzzer_sys::fuzz_target!(|data: &[u8]| noise::request_path(data));
