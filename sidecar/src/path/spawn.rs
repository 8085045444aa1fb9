//! Futures that hyper wants spawned stay on this worker's thread.

use std::future::Future;

use tokio::io::AsyncWrite;

use super::coalesce::Flusher;

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

/// Spawns likewise, and sends what each future wrote to one connection whenever it has been polled: hyper runs an HTTP/2 client's
/// connection through its executor.
pub(crate) struct Flushing<I>(pub(crate) Flusher<I>);

impl<I> Clone for Flushing<I> {
    fn clone(&self) -> Flushing<I> {
        Flushing(self.0.clone())
    }
}

impl<F, I> hyper::rt::Executor<F> for Flushing<I>
where
    F: Future + 'static,
    F::Output: 'static,
    I: AsyncWrite + Unpin + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(self.0.clone().drive(future));
    }
}
