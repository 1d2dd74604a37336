//! Work of an HTTP connection goes on in the thread that it began in.

use hyper::rt::Executor;
use mesh::lifecycle::task;

/// Spawns in this thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, work: F) {
        task::spawn_local("http work", async move { drop(work.await) });
    }
}
