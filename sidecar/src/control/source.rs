//! What tells of Services: manifests, the environment, DNS, and whatever comes to be.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use svc_core::inventory::{Change, Rejection};
use svc_core::table;

use crate::certificates::Secrets;

/// The changes that a source tells of next.
pub(crate) type NextChanges<'s> = Pin<Box<dyn Future<Output = Vec<Change>> + 's>>;

/// A source of Services.
pub(crate) trait Source {
    /// Which one it is, to the inventory and to operators.
    fn kind(&self) -> table::Source;

    /// All that it knows at the start; `None` where there is nothing to list, because it only answers questions.
    fn list(&mut self) -> Option<Vec<Change>>;

    /// Whether the pod may be ready before the first answer of a source that lists nothing at the start.
    fn answers_at_once(&self) -> bool {
        true
    }

    /// What changes next. The changes must be in force when this is called again. May be dropped at any time: nothing is lost.
    fn next(&mut self) -> NextChanges<'_>;

    /// Reads everything again (SIGHUP), and tells what has changed; `None` where there is nothing to read again.
    fn reload(&mut self) -> Option<Vec<Change>> {
        None
    }

    /// Its objects that cannot be used, and why.
    fn rejections(&self) -> Vec<Rejection> {
        Vec::new()
    }

    /// What its Secrets hold, where that is another thing than when it was last asked.
    fn changed_secrets(&mut self) -> Option<Secrets> {
        None
    }
}

/// The first of `sources` to have changes, by its index, and these. Waits for ever where there is none.
pub(super) async fn next_of(sources: &mut [Box<dyn Source>]) -> (usize, Vec<Change>) {
    let mut all: Vec<NextChanges<'_>> = sources.iter_mut().map(|source| source.next()).collect();
    poll_fn(move |cx| {
        for (index, next) in all.iter_mut().enumerate() {
            if let Poll::Ready(changes) = next.as_mut().poll(cx) {
                return Poll::Ready((index, changes));
            }
        }
        Poll::Pending
    })
    .await
}
