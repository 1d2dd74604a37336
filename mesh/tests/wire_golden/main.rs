//! Does the mesh speak the public wire: bytes written out by hand, round trips, equal bytes for equal values.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may its helpers"
)]

mod address;
mod draw;
mod policy;
mod refusals;
mod round_trip;
mod same_bytes;
mod strategy;
mod waypoint;

/// Reads hex with comments: everything after `#` on a line is for people.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
