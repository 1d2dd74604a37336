//! Applications for pods: `weft run echo`, a server that tells what it saw, and a small client.

pub mod echo;
