//! `Expect: 100-continue`, end to end at HTTP/1 (RFC 9110 §10.1.1): a request body waits until its endpoint asks for it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::{Request, StatusCode};

/// Closed until the endpoint says `100 Continue`. hyper tells of 1xx responses through a callback that it wants to be `Send`;
/// one thread uses it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

/// An endpoint that never says `100 Continue` gets the body after this long, as a client would send it (curl: 1 s).
const PATIENCE: Duration = Duration::from_secs(1);

impl Gate {
    /// A gate that opens by itself in the end.
    pub(crate) fn new() -> Arc<Gate> {
        let gate = Arc::<Gate>::default();
        let opened = gate.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(PATIENCE).await;
            opened.open();
        });
        gate
    }

    /// Opens the gate when the endpoint answers `request` with `100 Continue`.
    pub(crate) fn watch<B>(self: &Arc<Self>, request: &mut Request<B>) {
        let gate = self.clone();
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                gate.open();
            }
        });
    }

    fn open(&self) {
        self.open.store(true, Relaxed);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.open.load(Relaxed) {
            return Poll::Ready(());
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        Poll::Pending
    }
}
