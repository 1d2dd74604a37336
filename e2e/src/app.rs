//! Small programs that run inside pods: they report what they saw as JSON.

pub mod client;
pub mod impostor;
pub mod runtime;
pub mod server;
pub mod upgrade;
pub mod text;
pub mod vault;
pub mod words;

use std::hash::Hasher;

use serde::{Deserialize, Serialize};

/// Reads to the end, then answers with what it read: the client finishes first.
pub const COLLECT: u16 = 9001;
/// Finishes first: greets, ends its direction, and reads on; [`LAST`] tells what came.
pub const GREET: u16 = 9002;
/// Tells what the last [`GREET`] connection carried.
pub const LAST: u16 = 9003;
/// Resets after the first byte.
pub const RESET: u16 = 9004;
/// Echoes.
pub const ECHO: u16 = 9005;
/// Greeting of [`GREET`].
pub const GREETING: &[u8] = b"speak, I am listening";

/// How much arrived, and a hash of it in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Bytes.
    pub bytes: u64,
    /// Their hash.
    pub hash: u64,
}

/// Builds a [`Digest`] piece by piece; pieces may be cut anywhere.
#[derive(Default)]
pub struct Digester {
    bytes: u64,
    hasher: std::hash::DefaultHasher,
}

impl Digester {
    /// Adds a piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        for &byte in piece {
            self.hasher.write_u8(byte);
        }
    }

    /// The digest so far.
    pub fn digest(&self) -> Digest {
        Digest {
            bytes: self.bytes,
            hash: self.hasher.finish(),
        }
    }
}

/// Bytes that depend on a seed and their position, so that a swap, a gap or a repeat shows.
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}
