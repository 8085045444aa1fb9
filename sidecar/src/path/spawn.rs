//! Futures that hyper wants spawned stay on this worker's thread.

use std::future::Future;

/// Spawns on the worker's own runtime, so that nothing needs to be `Send`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl<F> hyper::rt::Executor<F> for Local
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
