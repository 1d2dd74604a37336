//! Does work inside a network namespace, on a thread that lives only for it.

use std::io;
use std::os::fd::BorrowedFd;
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::stat::fstat;

/// Runs `work` in the namespace and waits for it. The calling thread stays where it is, so this may be called from
/// anywhere that is allowed to block.
///
/// # Errors
/// When the namespace cannot be entered, or no thread can be made for it.
pub fn inside<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let entered = thread::Builder::new()
            .name("in-netns".into())
            .spawn_scoped(scope, || {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            })?;
        entered
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The number by which the kernel knows the namespace: equal for two descriptors of the same one.
///
/// # Errors
/// When the descriptor cannot be looked at.
pub fn inode(netns: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(fstat(netns)?.st_ino)
}

/// Whether both descriptors are of one namespace; not when either cannot be looked at.
#[must_use]
pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    inode(one)
        .ok()
        .zip(inode(other).ok())
        .is_some_and(|(one, other)| one == other)
}
