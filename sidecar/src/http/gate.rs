//! `Expect: 100-continue`, end to end (RFC 9110 §10.1.1): a request body waits until its endpoint asks for it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Sleep;

/// Closed until the endpoint says `100 Continue`, or did not for too long.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: Cell<bool>,
    waiting: RefCell<Option<GateWaiter>>,
}

/// Who waits for it, and until when.
#[derive(Debug)]
struct GateWaiter {
    waker: Waker,
    patience: Pin<Box<Sleep>>,
}

/// An endpoint that never says `100 Continue` gets the body after this long, as a client would send it (curl: 1 s).
const PATIENCE: Duration = Duration::from_secs(1);

impl Gate {
    /// A gate that opens in the end: [`PATIENCE`] after somebody began to wait. Nothing is left of it when nobody waits any more.
    pub(crate) fn new() -> Rc<Gate> {
        Rc::default()
    }

    pub(crate) fn open(&self) {
        self.open.set(true);
        if let Some(waiting) = self.waiting.take() {
            waiting.waker.wake();
        }
    }

    pub(crate) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.open.get() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        let new =
            || GateWaiter { waker: cx.waker().clone(), patience: Box::pin(crate::clock::sleep(PATIENCE)) };
        let waits = waiting.get_or_insert_with(new);
        waits.waker.clone_from(cx.waker());
        if waits.patience.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.open.set(true);
        *waiting = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_opens_by_itself_and_leaves_nothing_behind() {
        let gate = Gate::new();
        let begun = tokio::time::Instant::now();
        poll_fn(|cx| gate.poll_open(cx)).await;
        assert_eq!(begun.elapsed(), PATIENCE);
        let another = Gate::new();
        let waiting = tokio::time::timeout(PATIENCE / 2, poll_fn(|cx| another.poll_open(cx)));
        assert!(waiting.await.is_err());
        assert_eq!(Rc::strong_count(&another), 1, "no task has it");
        another.open();
        poll_fn(|cx| another.poll_open(cx)).await;
    }
}
