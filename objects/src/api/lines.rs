//! A body that never ends, cut into lines.

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use kube_client::client::Body;

use super::Refusal;

/// Longest line taken, in bytes: one object and what stands around it; etcd takes objects of 1.5 MiB.
const MAX_LINE: usize = 16 << 20;

/// Reads a stream line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    path: String,
    body: Body,
    read: BytesMut,
    /// How much of `read` is known to hold no end of a line.
    looked_at: usize,
}

impl Lines {
    pub(super) fn new(path: String, body: Body) -> Lines {
        Lines {
            path,
            body,
            read: BytesMut::new(),
            looked_at: 0,
        }
    }

    /// The next line; `None` when the server has ended the stream. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<BytesMut>, Refusal> {
        loop {
            let rest = self.read.get(self.looked_at..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(self.looked_at + at);
                self.read.advance(1);
                self.looked_at = 0;
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.looked_at = self.read.len();
            if self.looked_at > MAX_LINE {
                let reason = format!("a line of more than {MAX_LINE} bytes");
                return Err(Refusal::silent(&self.path, reason));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Refusal::silent(&self.path, super::chain(&error)));
                }
            }
        }
    }
}
