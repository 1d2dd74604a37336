//! Sockets as this mesh needs them: options set before they are used, no delay, dead peers noticed.

pub mod listen;
pub mod dial;
pub mod sockopt;

#[cfg(test)]
mod tests;
