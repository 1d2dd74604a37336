//! The frames of a capture, read as they come.

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use socket2::Socket;

/// Longest frame: offloads hand whole 64 KiB segments over a virtual link.
const LONGEST_FRAME: usize = 1 << 17;

/// A capture that is running.
#[derive(Debug)]
pub struct Recording {
    socket: Socket,
}

impl Recording {
    /// From the descriptor that [`crate::Sandbox::capture`] answers with.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// The frames that have come since the last call. Does not wait.
    pub fn frames(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0; LONGEST_FRAME];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(length) => frames.push(buffer.get(..length).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(frames),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
