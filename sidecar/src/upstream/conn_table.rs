//! The register of an endpoint's live connections: which there are at the moment, and how to cut one.
//!
//! Whoever opens a connection gets it with its [`ConnHandle`], which stands in the [`ConnTable`] from then until the socket is dropped,
//! whatever the connection speaks and whoever uses it. That costs one record per connection and nothing per request. Who has a
//! reason to end connections from outside, which their users know nothing of, walks the register on the worker's tick and cuts:
//! the reason is noted and the socket is shut down for reading, so that whoever waits for it wakes up, finds an error, and tells the reason
//! ([`ConnHandle::explain`]) instead of the reset that it looks like. The endpoint hears of it when the socket is dropped, as a reset. What else such a walk has to know belongs into the line, next to
//! [`ConnHandle::heard_bytes`].
//!
//! A line knows the socket itself and not the number of its descriptor, which may be another socket's by now; and it does
//! not keep the socket open.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use svc_core::outcome::Failure;

use crate::net::acks::Acks;
use crate::net::stream::Stream;

/// The live connections to one endpoint. As many as there are; `--max-connections` and the pools bound them.
#[derive(Default)]
pub(crate) struct ConnTable {
    lines: RefCell<Vec<Rc<ConnHandle>>>,
}

/// One connection.
pub(crate) struct ConnHandle {
    index: Cell<usize>,
    /// Borrowed only while somebody polls it, and here.
    stream: Weak<RefCell<Stream>>,
    heard_bytes: Cell<u64>,
    acks: Acks,
    cut: Cell<Option<Failure>>,
    waker: RefCell<Option<Waker>>,
}

/// A line's place in the register: taken off it when it is dropped.
pub(super) struct ConnGuard {
    register: Rc<ConnTable>,
    line: Rc<ConnHandle>,
}

impl ConnTable {
    pub(super) fn enter(self: &Rc<Self>, stream: &Rc<RefCell<Stream>>) -> ConnGuard {
        let mut lines = self.lines.borrow_mut();
        let line = Rc::new(ConnHandle {
            index: Cell::new(lines.len()),
            stream: Rc::downgrade(stream),
            heard_bytes: Cell::new(0),
            acks: Acks::default(),
            cut: Cell::new(None),
            waker: RefCell::default(),
        });
        lines.push(line.clone());
        ConnGuard { register: self.clone(), line }
    }

    /// Cuts the connections whose endpoint has been silent for `silence_max`; true when there was one.
    ///
    /// Asks the kernel only about those to which something was sent that long ago and from which nothing came since: requests that are
    /// answered sooner cost nothing. 10_000 connections that wait × at most one look in 0.6 s × 1 µs = 2 % of a core.
    pub(super) fn cut_silent(&self, silence_max: Duration) -> bool {
        let mut any = false;
        for line in self.lines.borrow().iter() {
            if line.is_silent(silence_max) {
                line.cut(Failure::Unacknowledged);
                any = true;
            }
        }
        any
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self, because: Failure) {
        for line in self.lines.borrow().iter() {
            line.cut(because);
        }
    }

    /// Whether nothing is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.borrow().is_empty()
    }
}

impl ConnHandle {
    /// Ends the connection. What is under way on it fails with the first reason that it was cut for.
    pub(crate) fn cut(&self, because: Failure) {
        if self.cut.get().is_some() {
            return;
        }
        self.cut.set(Some(because));
        if let Some(stream) = self.stream.upgrade() {
            // Not for writing: to the endpoint that would be an end like any other. One that has ended meanwhile cannot be shut down, and
            // need not be.
            let _ = SockRef::from(stream.borrow().tcp()).shutdown(Shutdown::Read);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What a failure of this connection means: the reason that it was cut for, if it was, else what it looks like.
    pub(crate) fn explain(&self, looks_like: Failure) -> Failure {
        self.cut.get().unwrap_or(looks_like)
    }

    /// Ready when it has been cut. For who may wait for something else than the socket, a slow client for example.
    pub(crate) fn poll_cut(&self, cx: &Context<'_>) -> Poll<Failure> {
        if let Some(because) = self.cut.get() {
            return Poll::Ready(because);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.get().is_some()
    }

    /// How many bytes the endpoint has said: whether it has said anything decides what a failure means.
    pub(crate) fn heard_bytes(&self) -> u64 {
        self.heard_bytes.get()
    }

    /// The endpoint has said something: so far it owes nothing. It may since owe for what was sent meanwhile, which a look will tell.
    pub(super) fn heard(&self, bytes: usize) {
        self.heard_bytes.set(self.heard_bytes.get() + bytes as u64);
        if bytes > 0 {
            self.acks.heard();
        }
    }

    /// Something is about to be sent to the endpoint.
    ///
    /// # Errors
    /// It has been cut.
    pub(super) fn sent(&self) -> io::Result<()> {
        if self.is_cut() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.acks.sent();
        Ok(())
    }

    fn is_silent(&self, silence_max: Duration) -> bool {
        let is_due = self.acks.is_due(silence_max) && !self.is_cut();
        is_due
            && self
                .stream
                .upgrade()
                .is_some_and(|stream| self.acks.is_silent(stream.borrow().tcp(), silence_max))
    }
}

impl ConnGuard {
    pub(super) fn line(&self) -> &Rc<ConnHandle> {
        &self.line
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        let mut lines = self.register.lines.borrow_mut();
        let index = self.line.index.get();
        lines.swap_remove(index);
        if let Some(moved) = lines.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{TcpListener, TcpStream};
    use tokio::io::AsyncReadExt;

    type Shared = Rc<RefCell<Stream>>;

    async fn connected() -> (Shared, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Rc::new(RefCell::new(near.into())), listener.accept().await.unwrap().0)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn lines_that_end_leave_the_places_of_the_others_right() {
        let register = Rc::<ConnTable>::default();
        let (stream, _far) = connected().await;
        let [first, second, third] = [(); 3].map(|()| register.enter(&stream));
        drop(first);
        drop(third);
        assert!(!register.is_empty());
        drop(second);
        assert!(register.is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_cut_ends_the_connection_and_its_first_reason_is_told() {
        let register = Rc::<ConnTable>::default();
        let (stream, _far) = connected().await;
        let entry = register.enter(&stream);
        let line = entry.line().clone();
        assert_eq!(line.explain(Failure::Reset), Failure::Reset);
        let cut = std::future::poll_fn(|cx| line.poll_cut(cx));
        let ((), because) = tokio::join!(
            async {
                tokio::task::yield_now().await;
                register.cut(Failure::Ended);
                register.cut(Failure::IdleTimeout);
            },
            cut
        );
        assert_eq!(because, Failure::Ended);
        assert_eq!(line.explain(Failure::Reset), Failure::Ended);
        assert!(line.sent().is_err());
        let mut near = Rc::into_inner(stream).unwrap().into_inner();
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_line_that_is_held_does_not_keep_its_socket_open() {
        let register = Rc::<ConnTable>::default();
        let (stream, mut far) = connected().await;
        let entry = register.enter(&stream);
        let line = entry.line().clone();
        drop((entry, stream));
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        line.cut(Failure::Ended);
        assert!(line.is_cut());
    }
}
