//! The only calls to `spawn`: every task has a name, runs in a span of that name, and a panic in it is
//! reported instead of lost.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Spawns `work` on the current runtime; `None` from its handle means that it panicked.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that spawns"
)]
pub fn spawn<F>(name: &'static str, work: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(guarded(name, work))
}

/// Spawns `work` on the current thread's local runtime; for the data path, where nothing is `Send`.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that spawns"
)]
pub fn spawn_local<F>(name: &'static str, work: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(guarded(name, work))
}

async fn guarded<F: Future>(name: &'static str, work: F) -> Option<F::Output> {
    match AssertUnwindSafe(work.instrument(tracing::debug_span!("task", name)))
        .catch_unwind()
        .await
    {
        Ok(output) => Some(output),
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a value that is not text".to_owned());
            tracing::error!(task = name, panic = what, "task panicked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn reports_a_panic_and_goes_on() {
        let lost = super::spawn("doomed", async { panic!("on purpose") })
            .await
            .unwrap();
        assert_eq!(lost, None::<()>);
        assert_eq!(super::spawn("fine", async { 7 }).await.unwrap(), Some(7));
    }
}
