//! A WebSocket between a stream of HTTP/2 and an endpoint's connection.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem::{self, MaybeUninit};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h2::{Reason, SendStream};
use hyper::body::{Body, Frame};
use svc_core::outcome::Failure;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::context::WorkerContext;
use crate::exchange::account::Account;
use crate::exchange::tunnel::keep;
use crate::http::client_body::ClientBody;
use crate::http::h2::backlog::{Backlog, QueuedPiece};
use crate::http::h2::send::{BodySendError, BodySender, ResetReason};
use crate::http::pulse::Pulse;
use crate::metrics::Closed;
use crate::upstream::UpstreamIo;

/// A WebSocket that its endpoint has agreed to, and that its client will hear of next.
pub(crate) struct Tunnel {
    pub(super) client: ClientBody,
    pub(super) upstream: UpstreamIo,
    /// What the endpoint said behind its head.
    pub(super) read: Bytes,
    pub(super) account: Account,
}

impl Tunnel {
    /// Carries bytes both ways until both sides have ended, one fails, or nothing moves for the idle time.
    ///
    /// Only where both have ended do both hear of an end: all else is a reset of the endpoint's connection, and of the stream (RFC 8441 §5).
    pub(crate) async fn carry(
        self,
        stream: SendStream<QueuedPiece>,
        backlog: &Rc<Backlog>,
        context: &WorkerContext,
    ) {
        let Tunnel { client, upstream, read, account } = self;
        upstream.break_when_dropped();
        let (pulse, line) = (Pulse::new(), upstream.line().clone());
        let upstream = RefCell::new(upstream);
        let moved = MovedNotice { account: RefCell::new(account), pulse: pulse.clone() };
        let ended = {
            let said = EndpointBody { upstream: &upstream, read, moved: &moved };
            let mut down = Some(BodySender::new(said, stream, backlog, Duration::ZERO));
            let mut up = Some(ClientData { client, rest: Bytes::new(), ended: false });
            let relaying = pin!(poll_fn(|cx| {
                poll_once(&mut up, |up| up.poll(&upstream, &moved, cx))?;
                poll_once(&mut down, |down| {
                    Pin::new(down).poll(cx).map_err(|unsent| TunnelSide::of(&unsent))
                })?;
                if up.is_none() && down.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending }
            }));
            keep(relaying, &pulse, context.config.deadlines.idle_tcp, &line, context).await
        };
        let mut account = moved.account.into_inner();
        match ended {
            Ok(Ok(())) => {
                upstream.borrow().end_when_dropped();
                account.done();
            }
            Ok(Err(TunnelSide::Client)) => account.failed(Failure::ClientGone),
            Ok(Err(TunnelSide::Upstream)) => {
                upstream.borrow_mut().closed = Closed::Failed;
                account.failed(Failure::Truncated);
            }
            Err(ended) => account.failed(ended),
        }
    }
}

/// Polls a direction that has not ended, and lets go of it when it has.
fn poll_once<T>(
    direction: &mut Option<T>,
    poll: impl FnOnce(&mut T) -> Poll<Result<(), TunnelSide>>,
) -> Result<(), TunnelSide> {
    if let Some(open) = direction
        && let Poll::Ready(ended) = poll(open)
    {
        ended?;
        *direction = None;
    }
    Ok(())
}

/// Which side failed.
#[derive(Debug)]
enum TunnelSide {
    Client,
    Upstream,
}

impl TunnelSide {
    fn of(unsent: &BodySendError<Gone>) -> TunnelSide {
        match unsent {
            BodySendError::Body(Gone) => TunnelSide::Upstream,
            BodySendError::Reset | BodySendError::Lost | BodySendError::Stalled => TunnelSide::Client,
        }
    }
}

/// Who is told what has moved: they know it however the tunnel ends.
struct MovedNotice {
    account: RefCell<Account>,
    /// The tunnel's own: the connection's beats for every stream.
    pulse: Arc<Pulse>,
}

impl MovedNotice {
    fn up(&self, bytes: usize) {
        let mut account = self.account.borrow_mut();
        account.to_upstream_bytes += bytes as u64;
        account.moved();
        self.pulse.wrote();
    }

    fn down(&self, bytes: usize) {
        let mut account = self.account.borrow_mut();
        account.to_client_bytes += bytes as u64;
        account.moved();
        self.pulse.wrote();
    }
}

/// What a client says, on its way to the endpoint.
struct ClientData {
    client: ClientBody,
    /// Not yet taken by the endpoint. The client may send as much again when it is.
    rest: Bytes,
    /// The client has said its last (END_STREAM).
    ended: bool,
}

impl ClientData {
    fn poll(
        &mut self,
        upstream: &RefCell<UpstreamIo>,
        moved: &MovedNotice,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TunnelSide>> {
        let mut upstream = upstream.borrow_mut();
        loop {
            while !self.rest.is_empty() {
                match ready!(Pin::new(&mut *upstream).poll_write(cx, &self.rest)) {
                    Ok(0) | Err(_) => return Poll::Ready(Err(TunnelSide::Upstream)),
                    Ok(count) => {
                        self.rest.advance(count);
                        moved.up(count);
                    }
                }
            }
            self.rest = Bytes::new(); // an idle tunnel holds no buffer
            ready!(Pin::new(&mut *upstream).poll_flush(cx)).map_err(|_| TunnelSide::Upstream)?;
            if self.ended {
                // The endpoint may be gone already, which ends this direction just as well.
                let _ = ready!(Pin::new(&mut *upstream).poll_shutdown(cx));
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.client).poll_frame(cx)) {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(_cut)) => return Poll::Ready(Err(TunnelSide::Client)),
                None => self.ended = true,
            }
        }
    }
}

/// What an endpoint says, as the body of the stream.
struct EndpointBody<'a> {
    upstream: &'a RefCell<UpstreamIo>,
    /// Goes first.
    read: Bytes,
    moved: &'a MovedNotice,
}

/// An endpoint's connection has failed.
#[derive(Debug)]
struct Gone;

impl ResetReason for Gone {
    fn reset_reason(&self) -> Reason {
        Reason::CANCEL // RFC 8441 §5
    }
}

impl Body for EndpointBody<'_> {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        let said = match mem::take(&mut self.read) {
            read if !read.is_empty() => read,
            _ => {
                let mut scratch = [MaybeUninit::uninit(); SCRATCH_BYTES];
                let mut buf = ReadBuf::uninit(&mut scratch);
                let mut upstream = self.upstream.borrow_mut();
                ready!(Pin::new(&mut *upstream).poll_read(cx, &mut buf)).map_err(|_| Gone)?;
                Bytes::copy_from_slice(buf.filled())
            }
        };
        if said.is_empty() {
            return Poll::Ready(None);
        }
        self.moved.down(said.len());
        Poll::Ready(Some(Ok(Frame::data(said))))
    }
}

/// On the stack: an idle tunnel holds no buffer, and what is queued is exactly what was said.
const SCRATCH_BYTES: usize = 8 * 1024;
