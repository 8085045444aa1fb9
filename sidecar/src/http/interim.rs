//! Interim answers on their way to a client: 1xx but 100 and 101, which concern one hop each (RFC 9110 §15.2).
//!
//! hyper cannot send them over HTTP/1, where they are dropped.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use h2::server::SendResponse;
use hyper::Response;
use hyper::http::response::Parts;

use super::h2::backlog::QueuedPiece;
use super::headers::{strip_hop, strip_length};
use crate::metrics::Metrics;

/// Where they go. Told of each head before the answer itself.
#[derive(Clone)]
pub(crate) enum Interim {
    /// To a client of HTTP/2.
    Client(Rc<Respond>),
    /// Nowhere: they are counted.
    Dropped(Arc<Metrics>),
}

/// The answers to a request on a stream of HTTP/2.
pub(crate) struct Respond {
    stream: RefCell<SendResponse<QueuedPiece>>,
    /// So many interim ones were sent.
    interim: Cell<u8>,
}

/// They wait for the client in a queue: what more an endpoint says is dropped.
const HEADS_MAX: u8 = 16;

impl Interim {
    /// Passes one on.
    pub(crate) fn tell(&self, head: &Parts) {
        match self {
            Interim::Client(respond) => respond.tell(head),
            Interim::Dropped(metrics) => {
                metrics.interim_dropped.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Respond {
    pub(crate) fn new(stream: SendResponse<QueuedPiece>) -> Rc<Respond> {
        Rc::new(Respond { stream: RefCell::new(stream), interim: Cell::new(0) })
    }

    /// What the answer itself goes through.
    pub(crate) fn stream(&self) -> RefMut<'_, SendResponse<QueuedPiece>> {
        self.stream.borrow_mut()
    }

    fn tell(&self, head: &Parts) {
        if self.interim.get() >= HEADS_MAX {
            return;
        }
        self.interim.set(self.interim.get() + 1);
        let mut interim = Response::new(());
        *interim.status_mut() = head.status;
        *interim.headers_mut() = head.headers.clone();
        strip_hop(interim.headers_mut());
        strip_length(interim.headers_mut(), head.status);
        if let Err(error) = self.stream().send_informational(interim) {
            tracing::debug!(%error, "an interim answer cannot be sent");
        }
    }
}
