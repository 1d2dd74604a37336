//! A pod's network namespace: hold it by descriptor and make sockets inside it.
//!
//! A socket belongs for ever to the namespace its maker was in, so only `socket(2)` has to happen
//! inside; binding, connecting and reading work from any thread afterwards. Two ways in:
//!
//! - [`Namespace::within`] switches the calling thread, runs a closure and switches back. The closure is
//!   synchronous, so a worker cannot reach an await point inside, and a thread that cannot return
//!   ends the process rather than serve one pod from another pod's network. Measured on two Zen 5
//!   cores: 2 to 4 us on top of the socket's own 6 us, against 6 us for asking a helper thread and
//!   120 to 220 us for starting a thread; that is why connections use it.
//! - [`Namespace::on_thread`] runs longer work (listeners) on a short-lived thread that never
//!   comes back.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};

/// Which namespace a descriptor leads to; equal ids mean the same namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId {
    /// Device of the namespace file system.
    pub device: u64,
    /// Inode on it, the number that `ip netns identify` and `/proc/<pid>/ns/net` show.
    pub inode: u64,
}

/// The namespace this process lives in, where every thread returns to.
#[derive(Debug)]
pub struct Home {
    file: File,
    id: NamespaceId,
}

impl Home {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted or not readable.
    pub fn current() -> io::Result<Arc<Self>> {
        let file = File::open("/proc/thread-self/ns/net")?;
        let id = id_of(&file)?;
        Ok(Arc::new(Self { file, id }))
    }
}

/// A pod's network namespace. Held open by descriptor, so it lives as long as this value.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    id: NamespaceId,
    home: Arc<Home>,
}

impl Namespace {
    /// Takes the descriptor that the node agent handed over and tries it once.
    ///
    /// # Errors
    /// When the descriptor is not a network namespace or may not be entered.
    pub fn new(descriptor: OwnedFd, home: &Arc<Home>) -> io::Result<Self> {
        let file = File::from(descriptor);
        let id = id_of(&file)?;
        let namespace = Self {
            file,
            id,
            home: Arc::clone(home),
        };
        namespace.within(|| ())?;
        Ok(namespace)
    }

    /// Which namespace this is.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Runs `work` with the calling thread inside this namespace, then brings the thread home.
    ///
    /// Keep `work` to making and preparing one socket: it must not start threads (they would stay
    /// inside) and calls must not be nested.
    ///
    /// # Errors
    /// When the kernel refuses to let the thread in; `work` has not run then.
    pub fn within<R>(&self, work: impl FnOnce() -> R) -> io::Result<R> {
        if self.id == self.home.id {
            return Ok(work());
        }
        setns(&self.file, CloneFlags::CLONE_NEWNET)?;
        let _home = ReturnHome(&self.home);
        Ok(work())
    }

    /// Runs `work` inside this namespace on a thread of its own and waits for it.
    ///
    /// # Errors
    /// When the thread cannot be started, or the kernel does not let it in, or `work` panicked.
    pub fn on_thread<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("netns".into())
                .stack_size(256 * 1024)
                .spawn_scoped(scope, || {
                    if self.id != self.home.id {
                        setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                    }
                    Ok(work())
                })?;
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("work inside the namespace panicked")))
        })
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Namespace {}

/// Brings the thread home when dropped, also on the way out of a panic.
struct ReturnHome<'a>(&'a Home);

impl Drop for ReturnHome<'_> {
    fn drop(&mut self) {
        if setns(self.0.file.as_fd(), CloneFlags::CLONE_NEWNET).is_err() {
            // Going on would open this node's or another pod's sockets in the wrong network.
            std::process::abort();
        }
    }
}

fn id_of(file: &File) -> io::Result<NamespaceId> {
    let data = file.metadata()?;
    Ok(NamespaceId {
        device: data.dev(),
        inode: data.ino(),
    })
}

#[cfg(test)]
mod tests;
