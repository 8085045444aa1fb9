//! The connections to an endpoint that are kept for the next request.

use std::cell::RefCell;
use std::task::{Context, Waker};

use super::{Http1, Http2, Slot};

/// Idle HTTP/1 connections, and HTTP/2 connections that streams share.
#[expect(clippy::vec_box, reason = "a connection is moved for each request: a pointer, not all of it")]
pub(super) struct Pool {
    idle: RefCell<Vec<Box<Http1>>>,
    idle_max: usize,
    shared: RefCell<Vec<Http2>>,
    /// Held while an HTTP/2 connection is being opened, so that a burst of streams opens one and not one each.
    pub(super) opening: tokio::sync::Mutex<()>,
}

/// Idle HTTP/1 connections kept per endpoint and worker. They bridge the gaps between requests, which are as many as the load
/// fluctuates, not as it is high. An idle one is a socket and half a kilobyte here.
pub(super) const IDLE_MAX: usize = 32;

impl Pool {
    pub(super) fn new(idle_max: usize) -> Pool {
        Pool {
            idle: RefCell::default(),
            idle_max,
            shared: RefCell::default(),
            opening: tokio::sync::Mutex::new(()),
        }
    }

    /// The idle connection used last, whose buffers and congestion window are warmest, if one is still open.
    pub(super) fn take_idle(&self, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.is_fresh() && connection.is_open(cx) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, unless it cannot serve one.
    pub(super) fn give_back(&self, mut connection: Box<Http1>) {
        if !connection.settle() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.idle_max {
            idle.push(connection);
        }
    }

    /// Lets streams share a connection.
    pub(super) fn share(&self, connection: Http2) {
        self.shared.borrow_mut().push(connection);
    }

    /// A place for one stream on a connection that is open and below the peer's limit.
    pub(super) fn free_slot(&self) -> Option<Slot> {
        let mut shared = self.shared.borrow_mut();
        shared.retain_mut(Http2::is_open);
        shared.iter().find(|connection| connection.has_room()).map(Http2::slot)
    }

    /// Closes all that no request is using.
    pub(super) fn forget(&self) {
        self.idle.take();
        self.shared.take();
    }

    /// Closes the connections that were idle for too long, and notices those that the endpoint has closed.
    pub(super) fn reap(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain_mut(|connection| connection.is_fresh() && connection.is_open(&mut cx));
        self.shared.borrow_mut().retain_mut(|connection| connection.is_open() && !connection.is_stale());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_empty()
    }
}
