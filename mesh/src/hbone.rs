//! Tunnels: HTTP/2 CONNECT in mutual TLS, one connection shared by many streams.
//!
//! Client and server live on one worker and need nothing to be `Send`. A tunnel's bytes are under
//! flow control end to end: a peer may send more only when earlier bytes have left this process.
//! What both ends rely on: a stream that ends without END_STREAM was aborted (RST_STREAM with
//! CONNECT_ERROR from us); NO_ERROR and CANCEL count as a proper end (contract:
//! docs/compat.md#half-close).

mod pool;
mod client;
pub mod server;
mod ping;
mod stream;
pub mod head;
pub mod baggage;
pub mod forwarded;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use baggage::Baggage;
pub use forwarded::{Forwarded, Traceparent};
pub use head::{Authority, BadHead, ConnectHead};
pub use pool::{Dialed, OpenError, Opened, Pool, PoolKey};
pub use server::{Incoming, Responder, Tunnel};
pub use stream::{TunnelSink, TunnelSource, TunnelStream};

/// The port of mesh peers (contract: docs/compat.md#hbone-tls).
pub const PORT: u16 = 15008;

/// Limits of tunnels; the defaults are the contract's (docs/compat.md#hbone-parameters) unless said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes one stream may have under way towards us.
    pub stream_window: u32,
    /// Bytes all streams of one connection may have under way towards us.
    pub connection_window: u32,
    /// Longest frame we accept.
    pub frame_size: u32,
    /// Longest header list a client accepts, in bytes.
    pub client_header_list: u32,
    /// Longest header list a server accepts, in bytes.
    pub server_header_list: u32,
    /// Streams a server allows on one connection.
    pub server_streams: u32,
    /// Streams a client opens on one connection before it makes another.
    pub client_streams: usize,
    /// Bytes of one stream that may wait inside this process. Weft's own: a socket that takes
    /// bytes empties it at once, so more would only be memory.
    pub send_buffer: usize,
    /// Memory, in bytes, that frames too small to be worth their overhead may cost a connection
    /// before it is closed. Weft's own.
    pub small_frame_budget: usize,
    /// A connection without streams is closed after this long.
    pub idle_release: Duration,
    /// Silence after which the peer is asked whether it is alive.
    pub ping_interval: Duration,
    /// The connection is given up when the answer takes longer.
    pub ping_timeout: Duration,
    /// Time for the HTTP/2 preface and for TLS. Weft's own.
    pub handshake_deadline: Duration,
    /// Time for the answer to a CONNECT: the other proxy waits for its own controller and for its
    /// application before it answers. Weft's own.
    pub answer_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: u32 = 1024 * 1024;
        Self {
            stream_window: 4 * MIB,
            connection_window: 16 * MIB,
            frame_size: MIB,
            client_header_list: 16 * 1024,
            server_header_list: 64 * 1024,
            server_streams: 200,
            client_streams: 100,
            send_buffer: 512 * 1024,
            small_frame_budget: 16 * MIB as usize,
            idle_release: Duration::from_secs(5 * 60),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(20),
            handshake_deadline: crate::tls::HANDSHAKE_DEADLINE,
            answer_deadline: Duration::from_secs(30),
        }
    }
}
