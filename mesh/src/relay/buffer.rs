//! Read buffers shared by all connections of one worker; an idle connection holds none.

use std::cell::RefCell;
use std::marker::PhantomData;

use bytes::Bytes;

/// First size of a read: with the nine bytes of an HTTP/2 frame header it fills exactly four TLS
/// records, so that nothing is left over for a tiny fifth one.
pub const SMALL: usize = 4 * 16 * 1024 - 9;
/// Size of a read once a connection has filled the small one.
pub const LARGE: usize = 4 * SMALL;

/// Unused buffers kept per worker and size; more are given back to the allocator.
const KEPT: usize = 8;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { small: Vec::new(), large: Vec::new() }) };
}

struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Pool {
    fn shelf(&mut self, size: usize) -> &mut Vec<Vec<u8>> {
        if size <= SMALL {
            &mut self.small
        } else {
            &mut self.large
        }
    }
}

/// This worker's buffers. A handle without contents: the buffers belong to the thread, so that one
/// which comes back from the depths of a tunnel finds its way home.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    not_send: PhantomData<*const ()>,
}

impl Buffers {
    /// The buffers of the calling thread.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of at least `size` bytes (rounded up to [`SMALL`] or [`LARGE`]), zeroed or holding
    /// old bytes.
    pub(crate) fn take(&self, size: usize) -> Buffer {
        let size = if size <= SMALL { SMALL } else { LARGE };
        let bytes = POOL.with_borrow_mut(|pool| pool.shelf(size).pop());
        Buffer {
            bytes: bytes.unwrap_or_else(|| vec![0; size]),
            filled: 0,
        }
    }

    /// Unused buffers of this worker, in bytes.
    pub fn idle_bytes(&self) -> usize {
        POOL.with_borrow(|pool| pool.small.len() * SMALL + pool.large.len() * LARGE)
    }
}

/// A read buffer; goes back to its worker's pool when dropped.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// All of it, to read into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `filled` bytes as a chunk. A chunk that would pin much more memory than it holds
    /// is copied out instead.
    pub(crate) fn freeze(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.bytes.len());
        if self.filled * 4 < self.bytes.len() {
            Bytes::copy_from_slice(self.as_ref())
        } else {
            Bytes::from_owner(self)
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // a thread that is ending has no pool any more: then the buffer is simply freed
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let shelf = pool.shelf(bytes.len());
            if shelf.len() < KEPT {
                shelf.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_give_their_buffer_back_at_once_and_large_ones_when_done() {
        let buffers = Buffers::new();
        let small = buffers.take(SMALL).freeze(100);
        assert_eq!(small.len(), 100);
        assert_eq!(buffers.idle_bytes(), SMALL);
        let large = buffers.take(SMALL).freeze(SMALL);
        assert_eq!(buffers.idle_bytes(), 0);
        let half = large.slice(..10);
        drop(large);
        assert_eq!(buffers.idle_bytes(), 0);
        drop(half);
        assert_eq!(buffers.idle_bytes(), SMALL);
    }

    #[test]
    fn keeps_only_a_bounded_number_of_buffers() {
        let buffers = Buffers::new();
        let many: Vec<_> = (0..100).map(|_| buffers.take(LARGE)).collect();
        drop(many);
        assert_eq!(buffers.idle_bytes(), KEPT * LARGE);
    }
}
