//! What a worker keeps of an endpoint: its idle connections, its shared ones, its counts.

mod http1;
mod http2;
mod keep_alive;
mod live;
mod tcp_info;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::Request;
use svc_core::drain::Departure;
use svc_core::outcome::Failure;
use svc_core::rewrite::Manner;
use svc_core::service::Service;
use svc_core::time::Now;
use svc_core::vitals::Vitals;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::application::Doorway;
use super::connect;
use super::mesh::Mesh;
use super::rewrite::Speech;
use super::shared::{PortKey, SharedPort};
use super::stream::Stream;
use crate::metrics::{Closed, Series};

pub(crate) use http1::{Http1, poll_unwoken};
pub(crate) use http2::{Http2, Slot};
pub(crate) use live::{Line, Register};

use live::Entry;

/// One endpoint, to one worker.
#[expect(clippy::vec_box, reason = "a connection is moved for each request: a pointer, not its 700 bytes")]
pub(crate) struct Upstream {
    /// The Service port it serves.
    pub(crate) of: PortKey,
    pub(crate) addr: SocketAddr,
    reach: Reach,
    pub(crate) series: Arc<Series>,
    /// What all workers know of that port.
    pub(crate) port: Arc<SharedPort>,
    /// What all workers know of it.
    pub(crate) vitals: Arc<Vitals>,
    idle: RefCell<Vec<Box<Http1>>>,
    shared: RefCell<Vec<Http2>>,
    /// Every connection that is open, in use or not.
    pub(crate) live: Rc<Register>,
    /// Held while an HTTP/2 connection is being opened, so that a burst of streams opens one and not one each.
    opening: tokio::sync::Mutex<()>,
    /// The endpoint has left: nothing new is opened to it, and connections are not kept.
    gone: Cell<bool>,
    /// A connection was opened since somebody asked.
    opened: Cell<bool>,
    departure: Cell<Departure>,
    /// How it is spoken to, for as long as it is this one: where a Service changes its mind, the endpoint is met anew.
    pub(crate) speech: Option<Box<Speech>>,
}

/// How an endpoint is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// At its address.
    Endpoint,
    /// It is the application beside us, which may listen for its own pod only.
    Application { or_else: Option<SocketAddr> },
}

impl Reach {
    pub(crate) fn of(inbound: Option<Doorway>) -> Reach {
        match inbound {
            None => Reach::Endpoint,
            Some(doorway) => Reach::Application { or_else: doorway.within_pod() },
        }
    }
}

/// Idle HTTP/1 connections kept per endpoint and worker. They bridge the gaps between requests, which are as many as the load
/// fluctuates, not as it is high. 32 × ~25 KiB (hyper's two buffers and its channel, 8 KiB each) = 0.8 MiB for an endpoint that was
/// that busy within the last [`IDLE_FOR`].
const IDLE_MAX: usize = 32;

/// How long an idle connection is kept. Below the 60 s and 75 s after which common servers close theirs; those that close
/// sooner are noticed when they do.
const IDLE_FOR: Duration = Duration::from_secs(50);

impl Upstream {
    pub(crate) fn new(
        of: PortKey,
        addr: SocketAddr,
        series: Arc<Series>,
        port: Arc<SharedPort>,
        vitals: Arc<Vitals>,
    ) -> Upstream {
        Upstream {
            of,
            addr,
            reach: Reach::Endpoint,
            series,
            port,
            vitals,
            idle: RefCell::default(),
            shared: RefCell::default(),
            live: Rc::default(),
            opening: tokio::sync::Mutex::new(()),
            gone: Cell::new(false),
            opened: Cell::new(false),
            departure: Cell::default(),
            speech: None,
        }
    }

    /// The same, connected to in that way.
    pub(crate) fn reached(self, reach: Reach) -> Upstream {
        Upstream { reach, ..self }
    }

    /// The same, spoken to so.
    pub(crate) fn spoken_to(self, manner: Option<&Arc<Manner>>) -> Upstream {
        Upstream { speech: manner.map(|manner| Box::new(Speech::new(manner))), ..self }
    }

    /// Whether it is spoken to so.
    pub(crate) fn is_spoken_to(&self, manner: Option<&Arc<Manner>>) -> bool {
        self.speech.as_ref().map(|speech| &speech.manner) == manner
    }

    /// Opens a connection and counts it; not to an endpoint that has left meanwhile.
    pub(crate) async fn open(&self, mesh: &Mesh) -> Result<UpstreamIo, Failure> {
        let stream = match self.reach {
            Reach::Endpoint => connect::open(self.addr, mesh).await,
            Reach::Application { or_else } => connect::open_application(self.addr, or_else, mesh).await,
        };
        let stream = Stream::from(stream?);
        if self.gone.get() {
            return Err(Failure::Left);
        }
        self.opened.set(true);
        self.series.opened.fetch_add(1, Relaxed);
        self.series.open.fetch_add(1, Relaxed);
        let stream = Rc::new(RefCell::new(stream));
        let entry = self.live.enter(&stream);
        Ok(UpstreamIo { stream, entry, series: self.series.clone(), closed: Closed::Done })
    }

    /// The idle connection used last, whose buffers and congestion window are warmest, if one is still open.
    pub(crate) fn take_idle(&self, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.is_fresh() && connection.is_open(cx) {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, unless it cannot serve one.
    pub(crate) fn give_back(&self, mut connection: Box<Http1>, cx: &mut Context<'_>) {
        if self.gone.get() || !connection.settle(cx) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }

    /// Opens an HTTP/1 connection.
    pub(crate) async fn open_http1(&self, mesh: &Mesh) -> Result<Box<Http1>, Failure> {
        Http1::handshake(self.open(mesh).await?).await
    }

    /// A place for one stream on a shared HTTP/2 connection: on one that is open and below the peer's limit, else on a new one.
    pub(crate) async fn stream(&self, mesh: &Mesh) -> Result<Slot, Failure> {
        if let Some(slot) = self.free_slot() {
            return Ok(slot);
        }
        let _opening = self.opening.lock().await;
        if let Some(slot) = self.free_slot() {
            return Ok(slot);
        }
        let connection = Http2::handshake(self.open(mesh).await?).await?;
        let slot = connection.slot();
        if !self.gone.get() {
            self.shared.borrow_mut().push(connection);
        }
        Ok(slot)
    }

    fn free_slot(&self) -> Option<Slot> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(Http2::is_open);
        shared.iter().find(|connection| connection.has_room()).map(Http2::slot)
    }

    /// A request in the words that the endpoint knows: nearly always the client's.
    pub(crate) fn put<B>(&self, mut request: Request<B>) -> Result<Request<B>, Failure> {
        match &self.speech {
            None => Ok(request),
            Some(speech) => speech.put(&mut request).map(|()| request),
        }
    }

    /// Takes note of what the snapshot says of the endpoint.
    pub(crate) fn observe(&self, usable: bool, service: Option<&Service>, now: Now) {
        let mut departure = self.departure.get();
        departure.observe(usable, service, now);
        self.departure.set(departure);
    }

    /// Lets go of every connection that no request is using; those that one is using are not kept afterwards.
    pub(crate) fn leave(&self) {
        self.gone.set(true);
        self.forget_idle();
    }

    /// May be used again.
    pub(crate) fn come_back(&self) {
        self.gone.set(false);
    }

    /// Cuts what is under way, if it is time; true while there is any.
    pub(crate) fn drain(&self, now: Now) -> bool {
        if self.departure.get().is_over(now) {
            self.live.cut(Failure::Drained);
        }
        !self.live.is_empty()
    }

    /// Closes the idle connections: one of them turned out to be closed by the endpoint, and the others are as old.
    pub(crate) fn forget_idle(&self) {
        self.idle.take();
        self.shared.take();
    }

    /// Cuts the connections on which the endpoint has been silent for too long. The idle ones go with them: they lead to the same place.
    pub(crate) fn cut_silent(&self, silence_max: Duration) {
        if self.live.cut_silent(silence_max) {
            tracing::debug!(endpoint = %self.addr, "an endpoint acknowledges nothing: its connections are given up");
            self.forget_idle();
        }
    }

    /// Closes the connections that were idle for too long, and notices those that the endpoint has closed.
    pub(crate) fn reap(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain_mut(|connection| connection.is_fresh() && connection.is_open(&mut cx));
        self.shared.borrow_mut().retain(Http2::is_open);
    }

    /// Whether it has had a connection since this was asked last: one that was opened, is kept, or carries something.
    pub(crate) fn was_used(&self) -> bool {
        let opened = self.opened.replace(false);
        let kept = !self.idle.borrow().is_empty() || !self.shared.borrow().is_empty();
        opened || kept || self.vitals.load.active() + self.vitals.load.inactive() > 0
    }
}

/// A connection to an endpoint, which counts itself.
pub(crate) struct UpstreamIo {
    /// Shared with its line, and borrowed only while it is polled.
    pub(crate) stream: Rc<RefCell<Stream>>,
    entry: Entry,
    series: Arc<Series>,
    pub(crate) closed: Closed,
}

impl UpstreamIo {
    pub(crate) fn line(&self) -> &Rc<Line> {
        self.entry.line()
    }
}

impl Drop for UpstreamIo {
    fn drop(&mut self) {
        let how = if self.line().is_cut() { Closed::Cut } else { self.closed };
        self.series.closed(how);
    }
}

impl AsyncRead for UpstreamIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buf);
        let heard_bytes = buf.filled().len() - before;
        self.line().heard(heard_bytes);
        if heard_bytes == 0 && polled.is_ready() && self.line().is_cut() {
            // A response that lasts until its connection ends would seem to be whole.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        polled
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.line().sent();
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line().sent();
        Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}
