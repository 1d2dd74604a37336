//! Takes a plain connection that was redirected to port 15006 and finds out where it was going.

use std::net::SocketAddr;

use mesh::flow::Reason;
use mesh::net::sockopt;
use tokio::net::TcpStream;

use crate::config::Doors;

/// The application's address.
///
/// # Errors
/// [`Reason::IllegalPort`] when it is a door of this proxy: somebody dialled 15006 itself, or asks
/// to be led in a circle; [`Reason::IoFailed`] when the kernel does not say where it arrived.
pub fn destination(stream: &TcpStream, doors: &Doors) -> Result<SocketAddr, Reason> {
    let local = stream.local_addr().map_err(|_| Reason::IoFailed)?;
    let destination =
        sockopt::original_destination(stream).unwrap_or_else(|| sockopt::canonical(local));
    if doors.is_own(destination.port()) {
        return Err(Reason::IllegalPort);
    }
    Ok(destination)
}
