//! Which processor a thread runs on, and with it all that it starts.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Lets this thread, and threads and processes that it starts from now on, run on one processor only.
///
/// # Errors
/// When there is no such processor, or it is not for us.
pub(super) fn this_thread(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| {
        format!("processor {processor}: two are needed, one for the load and one for the proxy")
    })
}
