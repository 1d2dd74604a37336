//! From workers to standard output: each worker gathers lines in a buffer of its own and hands it
//! over when it is large or a moment has passed; what the writer cannot take is dropped and counted.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, mpsc};

use super::AccessLog;
use crate::observe::metrics::Events;
use crate::observe::record::Record;

/// A buffer is handed over once it has this many bytes.
const FULL: usize = 32 * 1024;
/// A line waits no longer than this.
const WAIT: Duration = Duration::from_millis(100);
/// Buffers that may wait for the writer, of all workers together: some megabytes.
const BUFFERS: usize = 128;

/// Whole lines and how many they are.
#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    lines: u64,
}

/// The end of the way: writes what workers hand over.
#[derive(Debug)]
pub struct Writer {
    buffers: mpsc::Receiver<Buffer>,
    written: Counter,
}

/// Makes the writer and the handle that workers make their [`Lines`] of.
pub fn channel(events: &Events) -> (Handle, Writer) {
    let (sender, buffers) = mpsc::channel(BUFFERS);
    let handle = Handle {
        sender,
        dropped: events.lines_dropped.clone(),
    };
    let writer = Writer {
        buffers,
        written: events.lines_written.clone(),
    };
    (handle, writer)
}

/// Makes [`Lines`] for workers.
#[derive(Clone, Debug)]
pub struct Handle {
    sender: mpsc::Sender<Buffer>,
    dropped: Counter,
}

impl Handle {
    /// For one more worker.
    pub fn lines(&self) -> Rc<Lines> {
        Rc::new(Lines {
            bytes: RefCell::default(),
            count: Cell::new(0),
            handle: self.clone(),
            begun: Notify::new(),
        })
    }
}

/// One worker's lines.
#[derive(Debug)]
pub struct Lines {
    bytes: RefCell<Vec<u8>>,
    count: Cell<u64>,
    handle: Handle,
    /// The buffer is no longer empty.
    begun: Notify,
}

impl Lines {
    /// Writes the line about a request.
    pub fn write(&self, log: &AccessLog, record: &Record) {
        let mut bytes = self.bytes.borrow_mut();
        let is_first = bytes.is_empty();
        log.encode(record, &mut bytes);
        self.count.set(self.count.get() + 1);
        let is_full = bytes.len() >= FULL;
        drop(bytes);
        if is_full {
            self.flush();
        } else if is_first {
            self.begun.notify_one();
        }
    }

    /// Hands over what is there.
    pub fn flush(&self) {
        let bytes = std::mem::take(&mut *self.bytes.borrow_mut());
        let lines = self.count.replace(0);
        if bytes.is_empty() {
            return;
        }
        if let Err(error) = self.handle.sender.try_send(Buffer { bytes, lines }) {
            let (mpsc::error::TrySendError::Full(it) | mpsc::error::TrySendError::Closed(it)) =
                error;
            self.handle.dropped.inc_by(it.lines);
        }
    }

    /// Keeps lines from waiting: a task of the worker, which never ends.
    pub async fn keep_flushing(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(WAIT).await;
            self.flush();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Writer {
    /// Writes until every worker is gone; `out` is usually standard output. Runs on a thread of its
    /// own: a reader that does not read holds this thread up and nothing else.
    pub fn run(mut self, mut out: impl Write) {
        while let Some(buffer) = self.buffers.blocking_recv() {
            // Nobody can be told that standard output is gone.
            if out
                .write_all(&buffer.bytes)
                .and_then(|()| out.flush())
                .is_ok()
            {
                self.written.inc_by(buffer.lines);
            }
        }
    }
}

#[cfg(test)]
mod tests;
