//! Bytes both ways between two connections, each half closed on its own (S-07's retry and affinity happen before).
//!
//! One future drives both directions. A read goes through the worker's one scratch buffer, so that an idle connection holds
//! none; what the other side does not take at once is kept until it does. A direction that has moved [`SPLICE_AFTER_BYTES`] is
//! bulk, and goes on through a pipe inside the kernel, unless one of the connections is encrypted.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::descriptors;
use crate::http::pulse::Pulse;
use crate::memory::{Held, Holder};
use crate::net::TcpStream;
use crate::net::acks::{Acks, SILENCE_MAX};
use crate::net::stream::Stream;

/// What has moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelayedBytes {
    pub(crate) to_upstream_bytes: u64,
    pub(crate) to_client_bytes: u64,
    /// One side has said its last.
    pub(crate) half_closed: bool,
}

/// Relays until both directions have ended. `upstream` is borrowed for each turn, so that it can be cut between them. `moved` is told
/// each time that bytes moved or a side ended, so that what it knows is true even if the future is dropped.
///
/// # Errors
/// The side that failed, and how.
pub(crate) async fn relay(
    client: &mut Stream,
    upstream: &RefCell<Stream>,
    prebuffered: Prebuffered,
    pulse: &Pulse,
    mut moved: impl FnMut(RelayedBytes),
) -> Result<(), (FailedSide, io::Error)> {
    let holder = pulse.holder();
    let mut up = RelayDirection::new(prebuffered.from_client, holder);
    let mut down = RelayDirection::new(prebuffered.from_upstream, holder);
    let upstream_acks = Acks::default();
    std::future::poll_fn(|cx| {
        let upstream = &mut *upstream.borrow_mut();
        look(pulse, client, upstream, &upstream_acks)?;
        let before = moved_by(&up, &down);
        let up_polled = up.poll(cx, client, upstream, down.was_reset());
        let down_polled = down.poll(cx, upstream, client, up.was_reset());
        let now = moved_by(&up, &down);
        if now != before {
            pulse.wrote();
            pulse.acks.sent(); // to whichever side: a look will tell
            upstream_acks.sent();
            moved(now);
        }
        match (up_polled, down_polled) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err((FailedSide::Client, error))),
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err((FailedSide::Upstream, error))),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => {
                Poll::Ready(match (up.refused.take(), down.refused.take()) {
                    (Some(error), _) => Err((FailedSide::Upstream, error)),
                    (None, Some(error)) => Err((FailedSide::Client, error)),
                    (None, None) => Ok(()),
                })
            }
            (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
        }
    })
    .await
}

/// Looks at both sides if that is due.
///
/// # Errors
/// One of them has acknowledged nothing for too long.
fn look(
    pulse: &Pulse,
    client: &Stream,
    upstream: &Stream,
    upstream_acks: &Acks,
) -> Result<(), (FailedSide, io::Error)> {
    if !pulse.is_to_look() {
        return Ok(());
    }
    pulse.look(client.tcp()).map_err(|error| (FailedSide::Client, error))?;
    if upstream_acks.is_silent(upstream.tcp(), SILENCE_MAX) {
        return Err((FailedSide::Upstream, io::ErrorKind::TimedOut.into()));
    }
    if upstream_acks.owes() {
        pulse.acks.sent(); // whose looks are for both
    }
    Ok(())
}

fn moved_by(up: &RelayDirection, down: &RelayDirection) -> RelayedBytes {
    RelayedBytes {
        to_upstream_bytes: up.moved_bytes,
        to_client_bytes: down.moved_bytes,
        half_closed: up.state != RelayState::Open || down.state != RelayState::Open,
    }
}

/// Bytes that were read before the relay began.
#[derive(Default)]
pub(crate) struct Prebuffered {
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_upstream: Vec<u8>,
}

/// Which socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedSide {
    Client,
    Upstream,
}

enum RelayEnd {
    Reading(io::Error),
    Writing(io::Error),
}

/// One way: what `from` says, `to` hears.
struct RelayDirection {
    /// Read, and not yet taken by `to`.
    rest: Vec<u8>,
    moved_bytes: u64,
    pipe: Option<Pipe>,
    /// There was no descriptor for a pipe.
    copies: bool,
    state: RelayState,
    /// What is in `rest` and in `pipe`.
    held: Held,
    /// Why `to` took no more. What it has said before is still to be read: its last words may tell the client why.
    refused: Option<io::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RelayState {
    Open,
    /// `from` has ended: say so to `to`, after the rest.
    Closing,
    Done,
}

impl RelayDirection {
    fn new(rest: Vec<u8>, holder: &Holder) -> RelayDirection {
        let held = holder.hold(rest.capacity());
        RelayDirection {
            rest,
            moved_bytes: 0,
            pipe: None,
            copies: false,
            state: RelayState::Open,
            held,
            refused: None,
        }
    }

    /// Whether a write has met the reset of `to`. The kernel tells that once: a read behind it finds an end like any other.
    fn was_reset(&self) -> bool {
        // Of a connection that had ended before its reset came, it says "broken pipe", and the end was one.
        self.refused.as_ref().is_some_and(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Ready when this way has ended: `from` has, or `to` takes no more.
    ///
    /// # Errors
    /// `from` broke off.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        from_was_reset: bool,
    ) -> Poll<io::Result<()>> {
        let polled = self.poll_to_end(cx, from, to, from_was_reset).map(|ended| match ended {
            Ok(()) => Ok(()),
            Err(RelayEnd::Reading(error)) => Err(error),
            Err(RelayEnd::Writing(error)) => {
                (self.rest, self.pipe, self.state) = (Vec::new(), None, RelayState::Done);
                self.refused = Some(error);
                Ok(())
            }
        });
        self.held.resize(self.rest.capacity() + self.pipe.as_ref().map_or(0, |pipe| pipe.holds_bytes));
        polled
    }

    fn poll_to_end(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        from_was_reset: bool,
    ) -> Poll<Result<(), RelayEnd>> {
        loop {
            if self.state == RelayState::Done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_rest(cx, to)).map_err(RelayEnd::Writing)?;
            if self.state == RelayState::Open && self.pipe.as_ref().is_none_or(|pipe| pipe.holds_bytes == 0) {
                ready!(self.held.holder().poll_resumed(cx));
            }
            match (self.state, self.pipe_between(from, to)) {
                (RelayState::Open, Some((from, to))) => ready!(self.poll_splice(cx, from, to))?,
                (RelayState::Open, None) => {
                    ready!(SCRATCH.with_borrow_mut(|scratch| self.poll_copy(cx, from, to, scratch)))?;
                }
                (RelayState::Closing, _) if from_was_reset => {
                    return Poll::Ready(Err(RelayEnd::Reading(io::ErrorKind::ConnectionReset.into())));
                }
                (RelayState::Closing, _) => {
                    // The peer may be gone already, which ends this direction just as well.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.state = RelayState::Done;
                }
                (RelayState::Done, _) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// The sockets, where a pipe inside the kernel pays.
    fn pipe_between<'s>(&self, from: &'s Stream, to: &'s Stream) -> Option<(&'s TcpStream, &'s TcpStream)> {
        let is_bulk = self.moved_bytes >= SPLICE_AFTER_BYTES && !self.copies;
        if is_bulk { from.plain().zip(to.plain()) } else { None }
    }

    /// Sends what was read before, and what `to` may hold back of what it has taken.
    fn poll_rest(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest))?;
            self.moved_bytes += taken as u64;
            match taken == self.rest.len() {
                true => self.rest = Vec::new(), // an idle connection holds no buffer
                false => drop(self.rest.drain(..taken)),
            }
        }
        Pin::new(to).poll_flush(cx)
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        scratch: &mut [u8],
    ) -> Poll<Result<(), RelayEnd>> {
        let mut buf = ReadBuf::new(scratch);
        ready!(Pin::new(from).poll_read(cx, &mut buf)).map_err(RelayEnd::Reading)?;
        let read = buf.filled();
        if read.is_empty() {
            self.state = RelayState::Closing;
            return Poll::Ready(Ok(()));
        }
        let taken = match Pin::new(&mut *to).poll_write(cx, read) {
            Poll::Ready(taken) => taken.map_err(RelayEnd::Writing)?,
            Poll::Pending => 0,
        };
        self.moved_bytes += taken as u64;
        self.rest.extend_from_slice(&read[taken..]);
        Poll::Ready(Ok(()))
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<(), RelayEnd>> {
        let pipe = match &mut self.pipe {
            Some(pipe) => pipe,
            None => match Pipe::open() {
                Ok(pipe) => self.pipe.insert(pipe),
                Err(_) => {
                    self.copies = true; // slower, and no worse
                    return Poll::Ready(Ok(()));
                }
            },
        };
        if pipe.holds_bytes == 0 {
            ready!(from.poll_read_ready(cx)).map_err(RelayEnd::Reading)?;
            match from.try_io(Interest::READABLE, || pipe.fill(from)) {
                Ok(0) => self.state = RelayState::Closing,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(RelayEnd::Reading(error))),
            }
        }
        while pipe.holds_bytes > 0 {
            ready!(to.poll_write_ready(cx)).map_err(RelayEnd::Writing)?;
            match to.try_io(Interest::WRITABLE, || pipe.empty(to)) {
                Ok(taken) => self.moved_bytes += taken as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(RelayEnd::Writing(error))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A pipe that bytes pass through without leaving the kernel.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    holds_bytes: usize,
}

impl Pipe {
    fn open() -> io::Result<Pipe> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        if descriptors::is_reserved(&write) {
            return Err(rustix::io::Errno::MFILE.into());
        }
        // Refused beyond the user's share of pipe memory: the default size then serves as well, more slowly.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Pipe { read, write, holds_bytes: 0 })
    }

    fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let count = splice(from, None, &self.write, None, PIPE_BYTES, FLAGS)?;
        self.holds_bytes = count;
        Ok(count)
    }

    fn empty(&mut self, to: &TcpStream) -> io::Result<usize> {
        let count = splice(&self.read, None, to, None, self.holds_bytes, FLAGS)?;
        self.holds_bytes -= count;
        Ok(count)
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// Below this a pipe costs more (8–12 µs a connection) than copying does; beyond it copying costs up to four times as much.
const SPLICE_AFTER_BYTES: u64 = 128 * 1024;

/// What an unprivileged user may ask for; a bulk direction holds at most this much, in the kernel.
const PIPE_BYTES: usize = 1024 * 1024;

/// One per worker, whatever the number of connections.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0.into())
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_half_closed_client_still_hears_the_rest() {
        let (mut client, mut client_side) = pair().await;
        let (mut upstream, upstream_side) = pair().await;
        let upstream_side = RefCell::new(upstream_side);
        let mut moved = RelayedBytes::default();
        let prebuffered = Prebuffered { from_client: b"he".to_vec(), ..Prebuffered::default() };
        let pulse = Pulse::new();
        let relaying = relay(&mut client_side, &upstream_side, prebuffered, &pulse, |now| moved = now);
        let peers = async {
            client.write_all(b"llo").await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = String::new();
            upstream.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "hello");
            upstream.write_all(b"later").await.unwrap();
            upstream.shutdown().await.unwrap();
            heard.clear();
            client.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "later");
        };
        let (relayed, ()) = tokio::join!(relaying, peers);
        assert!(relayed.is_ok());
        assert_eq!(moved, RelayedBytes { to_upstream_bytes: 5, to_client_bytes: 5, half_closed: true });
    }

    #[tokio::test(flavor = "current_thread")]
    async fn last_words_arrive_from_an_upstream_that_takes_no_more_and_their_end_is_no_end() {
        let (mut client, mut client_side) = pair().await;
        let (mut upstream, upstream_side) = pair().await;
        upstream.write_all(b"last words").await.unwrap();
        upstream.set_zero_linger().unwrap();
        drop(upstream);
        let upstream_side = RefCell::new(upstream_side);
        let prebuffered = Prebuffered { from_client: b"unheard".to_vec(), ..Prebuffered::default() };
        let pulse = Pulse::new();
        let relayed = relay(&mut client_side, &upstream_side, prebuffered, &pulse, |_| {}).await;
        assert_eq!(
            relayed.map_err(|(broken, error)| (broken, error.kind())),
            Err((FailedSide::Upstream, io::ErrorKind::ConnectionReset))
        );
        let mut heard = [0; 10];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"last words");
        assert!(
            client.try_read(&mut heard).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            "nobody said that it ended"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn bulk_arrives_whole_through_copy_and_splice_at_a_slow_reader() {
        const BYTES: usize = 16 << 20;
        let (mut client, mut client_side) = pair().await;
        let (mut upstream, upstream_side) = pair().await;
        let upstream_side = RefCell::new(upstream_side);
        let mut moved = RelayedBytes::default();
        let pulse = Pulse::new();
        let relaying =
            relay(&mut client_side, &upstream_side, Prebuffered::default(), &pulse, |now| moved = now);
        let sent: Vec<u8> = (0..BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let writer = async {
            upstream.write_all(&sent).await.unwrap();
            upstream.shutdown().await.unwrap();
        };
        let reader = async {
            let mut heard = Vec::new();
            let mut chunk = vec![0; 1000];
            loop {
                match client.read(&mut chunk).await.unwrap() {
                    0 => break,
                    count => heard.extend_from_slice(&chunk[..count]),
                }
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
            heard
        };
        let (relayed, (), heard) = tokio::join!(relaying, writer, reader);
        assert!(relayed.is_ok());
        assert!(heard == sent, "the bytes differ");
        assert_eq!(moved.to_client_bytes, BYTES as u64);
    }
}
