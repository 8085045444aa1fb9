//! Carries a body into a stream of HTTP/2, no faster than its peer takes it.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use h2::{Reason, SendStream};
use hyper::HeaderMap;
use hyper::body::{Body, Frame};

use super::backlog::{Backlog, QueuedPiece, STREAM_HELD_BYTES_MAX, StreamShare};
use crate::clock::{self, Sleep};
use crate::memory::Holder;

/// What the peer of a stream is told when a body breaks off (RFC 9113 §7).
pub(crate) trait ResetReason: Unpin {
    fn reset_reason(&self) -> Reason;
}

/// Why a body was not sent to its end.
#[derive(Debug)]
pub(crate) enum BodySendError<E> {
    /// The body broke off. The peer has been told so.
    Body(E),
    /// The peer does not want it.
    Reset,
    /// The connection is lost.
    Lost,
    /// The peer took nothing of it for too long. It has been told CANCEL.
    Stalled,
}

/// A body on its way into a stream. It ends the stream: with END_STREAM, trailers or RST_STREAM. Dropped sooner, it leaves CANCEL.
pub(crate) struct BodySender<B: Body> {
    body: B,
    stream: SendStream<QueuedPiece>,
    backlog: Rc<Backlog>,
    /// What of this stream is queued; absent as long as nothing but a last piece was.
    share: Option<Rc<StreamShare>>,
    /// Who sends it, where the connection's queue is not that client's own.
    holder: Option<Holder>,
    /// Small pieces, copied together: they go first.
    gathered: BytesMut,
    /// A piece that goes as it is.
    whole: Bytes,
    trailers: Option<HeaderMap>,
    /// The body has no more.
    ended: bool,
    /// It broke off: the peer is told when it has what came before.
    broken: Option<B::Error>,
    stall: Stall,
}

/// A piece of at least this size goes as it is, and keeps the buffer that it is a part of; to copy a smaller one costs less than another
/// frame.
const WHOLE_BYTES_MIN: usize = 4 * 1024;

/// The same where much is queued. What is read from peers is read into at most 64 KiB at once, so that a piece keeps no more than four times
/// what is counted.
const WHOLE_BYTES_MIN_OF_MANY: usize = 16 * 1024;

/// As much is gathered before it is sent, while what was sent before is still in the queue.
const GATHERED_BYTES_MIN: usize = 4 * 1024;

/// No more is taken from the body than this and one piece, as long as nothing can be sent.
const GATHERED_BYTES_MAX: usize = 8 * 1024;

impl<B> BodySender<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: ResetReason,
{
    /// Begins to send `body`, behind a head that is queued already. Whoever takes nothing of it for as long as `patience` is given up; zero is
    /// for ever.
    pub(crate) fn new(
        body: B,
        stream: SendStream<QueuedPiece>,
        backlog: &Rc<Backlog>,
        patience: Duration,
    ) -> BodySender<B> {
        BodySender {
            body,
            stream,
            backlog: backlog.clone(),
            share: None,
            holder: None,
            gathered: BytesMut::new(),
            whole: Bytes::new(),
            trailers: None,
            ended: false,
            broken: None,
            stall: Stall { patience, since_ms: None, timer: None },
        }
    }

    /// What is queued of it is held for `holder`.
    pub(crate) fn held_for(mut self, holder: Option<&Holder>) -> BodySender<B> {
        self.holder = holder.cloned();
        self
    }

    /// What is being sent.
    pub(crate) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Takes from the body what is there, as long as there is room for it: here, and in the queue.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.whole.is_empty() && self.gathered.len() < GATHERED_BYTES_MAX {
            if self.poll_room(STREAM_HELD_BYTES_MAX, cx).is_pending() {
                break;
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => self.take(frame),
                Poll::Ready(Some(Err(error))) => {
                    self.broken = Some(error);
                    self.ended = true;
                    self.stall = Stall { patience: LAST_WORDS, since_ms: None, timer: None };
                }
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => {
                self.ended = self.body.is_end_stream();
                let whole_min = match self.backlog.is_relaxed() {
                    true if self.has_nothing_queued() && self.gathered.is_empty() => 0,
                    true => WHOLE_BYTES_MIN,
                    false => WHOLE_BYTES_MIN_OF_MANY,
                };
                match data.len() >= whole_min {
                    true => self.whole = data,
                    false => self.gathered.extend_from_slice(&data),
                }
            }
            Err(frame) => {
                self.trailers = frame.into_trailers().ok();
                self.ended = true;
            }
        }
    }

    fn has_nothing_queued(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.is_empty())
    }

    /// Queues what waits here. Ready when nothing does.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodySendError<B::Error>>> {
        loop {
            let waits = if self.gathered.is_empty() { self.whole.len() } else { self.gathered.len() };
            if waits == 0 {
                return Poll::Ready(Ok(()));
            }
            let is_worth_a_frame =
                self.ended || !self.whole.is_empty() || self.gathered.len() >= GATHERED_BYTES_MIN;
            let queued_max = if is_worth_a_frame { STREAM_HELD_BYTES_MAX } else { 0 };
            if self.poll_room(queued_max, cx).is_pending() {
                return Poll::Pending;
            }
            self.stream.reserve_capacity(waits);
            let Poll::Ready(capacity) = self.poll_capacity(cx)? else { return Poll::Pending };
            let (piece, is_last) = self.next_piece(capacity);
            self.queue(piece, is_last)?;
            self.stall.moved();
            if is_last {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Ready when the queue holds no more than `queued_max` of this stream, and has room for more of its connection.
    fn poll_room(&self, queued_max: usize, cx: &Context<'_>) -> Poll<()> {
        match &self.share {
            Some(share) if share.poll_at_most(queued_max, cx).is_pending() => Poll::Pending,
            Some(_) | None => self.backlog.poll_room(cx),
        }
    }

    /// How much the peer's windows allow.
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Result<Poll<usize>, BodySendError<B::Error>> {
        loop {
            match self.stream.capacity() {
                0 => match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_))) => return Err(BodySendError::Lost),
                    Poll::Ready(None) => return Err(self.why_closed(cx)),
                    Poll::Pending => return Ok(Poll::Pending),
                },
                capacity => return Ok(Poll::Ready(capacity)),
            }
        }
    }

    /// Takes up to `capacity` bytes of what waits, and tells whether they end the stream.
    fn next_piece(&mut self, capacity: usize) -> (QueuedPiece, bool) {
        let (bytes, buffer_bytes) = match self.gathered.is_empty() {
            false if self.gathered.len() <= capacity => {
                let buffer_bytes = self.gathered.capacity();
                (std::mem::take(&mut self.gathered).freeze(), buffer_bytes)
            }
            false => {
                let bytes = Bytes::copy_from_slice(&self.gathered[..capacity]);
                self.gathered.advance(capacity);
                (bytes, capacity)
            }
            true if self.whole.len() <= capacity => (std::mem::take(&mut self.whole), 0),
            true => (self.whole.split_to(capacity), 0),
        };
        let is_all = self.gathered.is_empty() && self.whole.is_empty() && self.trailers.is_none();
        let is_last = is_all && self.ended && self.broken.is_none();
        let share = match is_last {
            true => self.share.as_ref(),
            false => Some(&*self.share.get_or_insert_with(|| Rc::new(StreamShare::of(self.holder.as_ref())))),
        };
        (QueuedPiece::new(bytes, buffer_bytes, &self.backlog, share), is_last)
    }

    fn queue(&mut self, piece: QueuedPiece, is_last: bool) -> Result<(), BodySendError<B::Error>> {
        let queued = self.stream.send_data(piece, is_last);
        queued.map_err(|_| self.why_closed(&mut Context::from_waker(std::task::Waker::noop())))
    }

    /// Why the stream takes nothing any more.
    fn why_closed(&mut self, cx: &mut Context<'_>) -> BodySendError<B::Error> {
        match self.stream.poll_reset(cx) {
            Poll::Ready(Ok(_)) => BodySendError::Reset,
            Poll::Ready(Err(_)) => BodySendError::Lost,
            Poll::Pending => BodySendError::Reset,
        }
    }

    /// Ends the stream, when all of the body is queued.
    fn end(&mut self, cx: &mut Context<'_>) -> Result<(), BodySendError<B::Error>> {
        match self.trailers.take() {
            None => self.queue(QueuedPiece::EMPTY, true),
            Some(trailers) => {
                self.stream.reserve_capacity(0);
                self.stream.send_trailers(trailers).map_err(|_| self.why_closed(cx))
            }
        }
    }

    /// Resets the stream, which takes back what is queued of it.
    fn break_off(&mut self, error: B::Error) -> BodySendError<B::Error> {
        self.stream.send_reset(error.reset_reason());
        BodySendError::Body(error)
    }
}

impl<B> Future for BodySender<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: ResetReason,
{
    type Output = Result<(), BodySendError<B::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sending = self.get_mut();
        loop {
            sending.fill(cx);
            let had = !sending.gathered.is_empty() || !sending.whole.is_empty();
            match sending.poll_queue(cx) {
                Poll::Ready(Err(unsent)) => return Poll::Ready(Err(unsent)),
                Poll::Ready(Ok(())) if sending.broken.is_some() => {
                    if sending.poll_room(0, cx).is_pending() {
                        return sending.wait(true, cx);
                    }
                    let error = sending.broken.take().expect("it has broken off");
                    return Poll::Ready(Err(sending.break_off(error)));
                }
                Poll::Ready(Ok(())) if sending.ended => {
                    let was_last = had && sending.trailers.is_none();
                    return Poll::Ready(if was_last { Ok(()) } else { sending.end(cx) });
                }
                Poll::Ready(Ok(())) if had => {} // the body may have more
                Poll::Ready(Ok(())) => {
                    let for_peer = sending.poll_room(STREAM_HELD_BYTES_MAX, cx).is_pending();
                    return sending.wait(for_peer, cx);
                }
                Poll::Pending => return sending.wait(true, cx),
            }
        }
    }
}

impl<B> BodySender<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: ResetReason,
{
    /// Waits: for the peer, where it has to take something first, else for the body. Both ways the peer may lose interest.
    fn wait(&mut self, for_peer: bool, cx: &mut Context<'_>) -> Poll<Result<(), BodySendError<B::Error>>> {
        match self.stream.poll_reset(cx) {
            Poll::Ready(Ok(_)) => return Poll::Ready(Err(BodySendError::Reset)),
            Poll::Ready(Err(_)) => return Poll::Ready(Err(BodySendError::Lost)),
            Poll::Pending => {}
        }
        if for_peer && self.stall.poll_over(cx).is_ready() {
            return Poll::Ready(Err(match self.broken.take() {
                Some(error) => self.break_off(error),
                None => {
                    self.stream.send_reset(Reason::CANCEL);
                    BodySendError::Stalled
                }
            }));
        }
        Poll::Pending
    }
}

/// How long a peer has been taking nothing.
struct Stall {
    patience: Duration,
    since_ms: Option<u32>,
    /// Set once a peer is first waited for, and late rather than anew each time that it takes something.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    fn moved(&mut self) {
        self.since_ms = None;
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.patience.is_zero() {
            return Poll::Pending;
        }
        let since_ms = *self.since_ms.get_or_insert_with(clock::coarse_ms);
        loop {
            let waited = Duration::from_millis(clock::coarse_since(since_ms).into());
            let Some(left) = self.patience.checked_sub(waited).filter(|left| !left.is_zero()) else {
                return Poll::Ready(());
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(crate::clock::sleep(left)));
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                // The clock is coarse, and the timer may be from an earlier wait.
                Poll::Ready(()) => self.timer = Some(Box::pin(crate::clock::sleep(left + CLOCK_STEP))),
            }
        }
    }
}

/// What came of a body that broke off is worth this much.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The steps of the coarse clock.
const CLOCK_STEP: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
