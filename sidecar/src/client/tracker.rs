//! The roster of a worker's client connections: who is connected, when each last moved a byte, and how to end it.
//!
//! Deadlines that are seldom met must not cost a timer per request: a connection only notes when it moved (a store), and
//! the worker's reaper walks the roster a few times a second.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use svc_core::outcome::Failure;

use crate::http::pulse::{ConnDeadlines, Pulse};
use crate::net::acks::SILENCE_MAX;

/// A worker's open client connections.
#[derive(Default)]
pub(crate) struct ConnectionTracker {
    members: RefCell<Vec<Rc<TrackedConnection>>>,
    draining: Cell<bool>,
}

/// One connection's place in the roster.
pub(crate) struct TrackedConnection {
    index: Cell<usize>,
    pulse: Arc<Pulse>,
    deadlines: ConnDeadlines,
    waker: RefCell<Option<Waker>>,
    verdict: Cell<Option<Failure>>,
}

/// Takes the connection off the roster when it ends, however it ends.
pub(crate) struct ConnectionGuard<'a> {
    roster: &'a ConnectionTracker,
    member: Rc<TrackedConnection>,
}

impl ConnectionTracker {
    pub(crate) fn enter(&self, pulse: Arc<Pulse>, deadlines: ConnDeadlines) -> ConnectionGuard<'_> {
        let mut members = self.members.borrow_mut();
        let member = Rc::new(TrackedConnection {
            index: Cell::new(members.len()),
            pulse,
            deadlines,
            waker: RefCell::default(),
            verdict: Cell::new(None),
        });
        members.push(member.clone());
        ConnectionGuard { roster: self, member }
    }

    /// Ends the connections that are overdue, or have to make room, and has those look at their clients that sent something
    /// [`SILENCE_MAX`] ago and heard nothing since. Cost: a few ns for each of at most `--max-connections`.
    pub(crate) fn reap(&self) -> Slow {
        let mut slow = Slow::default();
        for member in self.members.borrow().iter() {
            if member.pulse.acks.is_due(SILENCE_MAX) {
                member.pulse.is_due_to_look();
                member.wake();
            }
            if let Some(failure) = member.pulse.overdue(member.deadlines) {
                member.end(failure);
            }
            member.count_slow(&mut slow);
        }
        slow
    }

    /// Asks every connection to finish what it does and close.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        for member in self.members.borrow().iter() {
            member.wake();
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }
}

/// So many connections have become slow since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slow {
    /// Their clients do not read.
    pub(crate) reads: u64,
    /// Their clients do not send what they have begun.
    pub(crate) bodies: u64,
}

impl TrackedConnection {
    /// Who lets us wait for longer than a head may take is no client of the usual kind.
    fn count_slow(&self, slow: &mut Slow) {
        let TrackedConnection { pulse, deadlines, .. } = self;
        slow.reads += u64::from(pulse.pace.untaken.is_new_flood(deadlines.header));
        slow.bodies += u64::from(pulse.owes_body() && pulse.pace.unsaid.is_new_flood(deadlines.header));
    }

    fn end(&self, failure: Failure) {
        self.verdict.set(Some(failure));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    fn note_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

/// Ends a connection from within what it carries.
pub(crate) struct ConnectionEnder(Rc<TrackedConnection>);

impl ConnectionEnder {
    pub(crate) fn end(&self, failure: Failure) {
        self.0.end(failure);
    }
}

impl ConnectionGuard<'_> {
    pub(crate) fn remote(&self) -> ConnectionEnder {
        ConnectionEnder(self.member.clone())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.roster.is_draining()
    }
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        let mut members = self.roster.members.borrow_mut();
        let index = self.member.index.get();
        members.swap_remove(index);
        if let Some(moved) = members.get(index) {
            moved.index.set(index);
        }
    }
}

/// A connection that can be asked to finish.
pub(crate) trait Graceful {
    /// Finish what is under way, take nothing new.
    fn finish(self: Pin<&mut Self>);
}

/// Runs a connection until it ends, is overdue, or has drained.
///
/// Takes the connection pinned where it is, so that it is not held twice. `after` is called whenever the connection has been polled.
pub(crate) async fn supervise<C>(
    mut connection: Pin<&mut C>,
    connection_guard: &ConnectionGuard<'_>,
    after: impl Fn(&mut Context<'_>),
) -> Result<C::Output, Failure>
where
    C: Future + Graceful,
{
    let ConnectionGuard { roster, member } = connection_guard;
    let mut proxy_header = false;
    std::future::poll_fn(move |cx| {
        if let Some(failure) = member.verdict.get() {
            return Poll::Ready(Err(failure));
        }
        member.note_waker(cx);
        let mut polled = connection.as_mut().poll(cx);
        // Not before it was polled: hyper closes what has not begun, with the request that has been read for it.
        if polled.is_pending() && roster.is_draining() && !proxy_header {
            proxy_header = true;
            connection.as_mut().finish();
            polled = connection.as_mut().poll(cx);
        }
        after(cx);
        polled.map(Ok)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::http::pulse::ConnDeadlines;
    use crate::http::pulse::Pulse;
    use std::pin::pin;
    use std::time::Duration;

    const LIMITS: ConnDeadlines =
        ConnDeadlines { header: Duration::from_millis(0), idle: Duration::from_secs(3600) };

    struct Never(Rc<Cell<bool>>);

    impl Future for Never {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.0.get() { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    impl Graceful for Never {
        fn finish(self: Pin<&mut Self>) {
            self.0.set(true);
        }
    }

    #[test]
    fn leaving_keeps_the_places_of_the_others() {
        let roster = ConnectionTracker::default();
        let first = roster.enter(Pulse::new(), LIMITS);
        let second = roster.enter(Pulse::new(), LIMITS);
        let third = roster.enter(Pulse::new(), LIMITS);
        drop(first);
        drop(third);
        assert_eq!(roster.members.borrow().len(), 1);
        drop(second);
        assert_eq!(roster.members.borrow().len(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn draining_asks_a_connection_to_finish() {
        let roster = ConnectionTracker::default();
        let connection_guard = roster.enter(Pulse::new(), LIMITS);
        let never = pin!(Never(Rc::default()));
        let (ended, ()) = tokio::join!(supervise(never, &connection_guard, |_| {}), async {
            tokio::task::yield_now().await;
            roster.drain();
        });
        assert_eq!(ended, Ok(()));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_head_that_never_ends_ends_the_connection() {
        clock::tick(); // the first one sets the origin
        let limits = ConnDeadlines { header: Duration::from_millis(1), ..LIMITS };
        let roster = ConnectionTracker::default();
        let pulse = Pulse::new();
        let connection_guard = roster.enter(pulse.clone(), limits);
        pulse.read();
        let never = pin!(Never(Rc::default()));
        let (ended, ()) = tokio::join!(supervise(never, &connection_guard, |_| {}), async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            clock::tick();
            roster.reap();
        });
        assert_eq!(ended, Err(Failure::HeaderTimeout));
    }
}
