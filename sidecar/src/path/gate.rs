//! `Expect: 100-continue`, end to end at HTTP/1 (RFC 9110 §10.1.1): a request body waits until its endpoint asks for it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Closed until the endpoint says `100 Continue`.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

/// An endpoint that never says `100 Continue` gets the body after this long, as a client would send it (curl: 1 s).
const PATIENCE: Duration = Duration::from_secs(1);

impl Gate {
    /// A gate that opens by itself in the end.
    pub(crate) fn new() -> Rc<Gate> {
        let gate = Rc::<Gate>::default();
        let opened = gate.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(PATIENCE).await;
            opened.open();
        });
        gate
    }

    pub(crate) fn open(&self) {
        self.open.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.open.get() {
            return Poll::Ready(());
        }
        self.waiting.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}
