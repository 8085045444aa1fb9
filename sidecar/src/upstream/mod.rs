//! What a worker keeps of an endpoint: its idle connections, its shared ones, its counts.

pub(crate) mod conn_table;
pub(crate) mod connect;
pub(crate) mod dialer;
mod encrypted;
mod http1;
mod http2;
pub(crate) mod io;
mod keep_alive;
pub(crate) mod outbound_proxy_header;
pub(crate) mod own;
mod pool;
pub(crate) mod registry;
pub(crate) mod rewrite;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::time::Duration;

use hyper::Request;
use hyper::header::HeaderValue;
use svc_core::drain::Draining;
use svc_core::outcome::Failure;
use svc_core::port::PortKey;
use svc_core::rewrite::RewriteRules;
use svc_core::service::Service;
use svc_core::stats::EndpointStats;
use svc_core::time::Now;

use crate::client::facts::LocalTarget;
use crate::metrics::{Closed, Series};
use crate::net::TcpStream;
use crate::net::stream::Stream;
use crate::net::tls_client::Payload;
use crate::ports::shared_port::SharedPort;

use dialer::Dialer;
use outbound_proxy_header::OutboundProxyHeader;
use pool::{IDLE_MAX, Pool};
use rewrite::UpstreamProtocol;

pub(crate) use conn_table::ConnTable;
#[cfg(feature = "fuzzing")]
pub(crate) use http1::check as check_answer;
pub(crate) use http1::{Answered, Http1, RequestHead};
pub(crate) use http2::{Http2, Slot, StreamAnswer};
pub(crate) use io::UpstreamIo;

/// One endpoint, to one worker.
pub(crate) struct Upstream {
    /// The Service port it serves.
    pub(crate) of: PortKey,
    pub(crate) addr: SocketAddr,
    reach: ConnectTarget,
    pub(crate) series: Arc<Series>,
    /// What all workers know of that port.
    pub(crate) port: Arc<SharedPort>,
    /// What all workers know of it.
    pub(crate) stats: Arc<EndpointStats>,
    pool: Pool,
    /// Every connection that is open, in use or not.
    pub(crate) live: Rc<ConnTable>,
    drain_state: Rc<DrainState>,
    departure: Cell<Draining>,
    /// How it is spoken to, for as long as it is this one: where a Service changes its mind, the endpoint is met anew.
    pub(crate) speech: Option<Rc<UpstreamProtocol>>,
    /// What its connections begin with, where they belong to one client.
    outbound_header: Option<OutboundProxyHeader>,
    /// The same endpoint to single clients, as long as they keep it.
    per_client: RefCell<Vec<Weak<Upstream>>>,
}

/// What holds for all connections to an endpoint, whoever they belong to.
#[derive(Default)]
struct DrainState {
    /// The endpoint has left: nothing new is opened to it, and connections are not kept.
    gone: Cell<bool>,
    /// A connection was opened since somebody asked.
    opened: Cell<bool>,
}

/// How an endpoint is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectTarget {
    /// At its address.
    Endpoint,
    /// It is the application beside us, which may listen for its own pod only.
    Application { or_else: Option<SocketAddr>, client: Option<IpAddr> },
}

impl ConnectTarget {
    pub(crate) fn of(inbound: Option<LocalTarget>) -> ConnectTarget {
        match inbound {
            None => ConnectTarget::Endpoint,
            Some(local_target) => {
                ConnectTarget::Application { or_else: local_target.within_pod(), client: local_target.client }
            }
        }
    }
}

impl Upstream {
    pub(crate) fn new(
        of: PortKey,
        addr: SocketAddr,
        series: Arc<Series>,
        port: Arc<SharedPort>,
        stats: Arc<EndpointStats>,
    ) -> Upstream {
        Upstream {
            of,
            addr,
            reach: ConnectTarget::Endpoint,
            series,
            port,
            stats,
            pool: Pool::new(IDLE_MAX),
            live: Rc::default(),
            drain_state: Rc::default(),
            departure: Cell::default(),
            speech: None,
            outbound_header: None,
            per_client: RefCell::default(),
        }
    }

    /// The same, connected to in that way.
    pub(crate) fn reached(self, reach: ConnectTarget) -> Upstream {
        Upstream { reach, ..self }
    }

    /// The same, spoken to so.
    pub(crate) fn with_protocol(self, rewrite: Option<&Arc<RewriteRules>>) -> Upstream {
        Upstream { speech: rewrite.map(|rewrite| Rc::new(UpstreamProtocol::new(rewrite))), ..self }
    }

    /// Whether it is spoken to so.
    pub(crate) fn has_protocol(&self, rewrite: Option<&Arc<RewriteRules>>) -> bool {
        self.speech.as_ref().map(|speech| &speech.rewrite) == rewrite
    }

    /// The same endpoint with connections for one client only, each of which begins with `outbound_header`. They end with the answer.
    pub(crate) fn per_client(&self, outbound_header: OutboundProxyHeader) -> Rc<Upstream> {
        let per_client = Rc::new(Upstream {
            of: self.of.clone(),
            addr: self.addr,
            reach: self.reach,
            series: self.series.clone(),
            port: self.port.clone(),
            stats: self.stats.clone(),
            pool: Pool::new(1),
            live: self.live.clone(),
            drain_state: self.drain_state.clone(),
            departure: Cell::default(),
            speech: self.speech.clone(),
            outbound_header: Some(outbound_header),
            per_client: RefCell::default(),
        });
        self.per_client.borrow_mut().push(Rc::downgrade(&per_client));
        per_client
    }

    /// Whether this is `upstream` to one client.
    pub(crate) fn belongs_to(&self, upstream: &Upstream) -> bool {
        Rc::ptr_eq(&self.drain_state, &upstream.drain_state)
    }

    /// Opens a connection and counts it; not to an endpoint that has left meanwhile.
    pub(crate) async fn open(&self, payload: Payload, dialer: &Dialer) -> Result<UpstreamIo, Failure> {
        self.open_for(payload, self.outbound_header.as_ref(), dialer).await
    }

    /// The same for the client that is introduced, if any is.
    pub(crate) async fn open_for(
        &self,
        payload: Payload,
        outbound_header: Option<&OutboundProxyHeader>,
        dialer: &Dialer,
    ) -> Result<UpstreamIo, Failure> {
        let stream = match self.encryption(payload) {
            None => Stream::from(self.connect(outbound_header, dialer).await?),
            // Few are: it is not part of every future.
            Some(encryption) => Box::pin(self.encrypt(encryption, payload, outbound_header, dialer)).await?,
        };
        if self.drain_state.gone.get() {
            return Err(Failure::Left);
        }
        self.drain_state.opened.set(true);
        self.series.opened.fetch_add(1, Relaxed);
        self.series.open.fetch_add(1, Relaxed);
        let stream = Rc::new(RefCell::new(stream));
        let entry = self.live.enter(&stream);
        if outbound_header.is_some() {
            let _ = entry.line().sent(); // nobody has had it to cut
        }
        Ok(UpstreamIo {
            unfinished: false,
            was_reset: false,
            stream,
            entry,
            series: self.series.clone(),
            closed: Closed::Done,
        })
    }

    /// Opens a connection on which nothing is said yet but whom it is for.
    async fn connect(
        &self,
        outbound_header: Option<&OutboundProxyHeader>,
        dialer: &Dialer,
    ) -> Result<TcpStream, Failure> {
        let mut stream = match self.reach {
            ConnectTarget::Endpoint => connect::open(self.addr, dialer).await,
            ConnectTarget::Application { or_else, client } => {
                connect::open_application(self.addr, or_else, client, dialer).await
            }
        }?;
        if let Some(outbound_header) = outbound_header {
            Box::pin(connect::send_header(&mut stream, outbound_header, self.addr, dialer)).await?; // few Services ask for it
        }
        Ok(stream)
    }

    /// The idle connection used last, if one is still open.
    pub(crate) fn take_idle(&self, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        self.pool.take_idle(cx)
    }

    /// Keeps a connection for the next request, unless it cannot serve one.
    pub(crate) fn give_back(&self, connection: Box<Http1>) {
        if !self.drain_state.gone.get() {
            self.pool.give_back(connection);
        }
    }

    /// Opens an HTTP/1 connection.
    pub(crate) async fn open_http1(&self, dialer: &Dialer) -> Result<Box<Http1>, Failure> {
        Ok(Http1::new(self.open(Payload::Http1, dialer).await?))
    }

    /// A place for one stream on a shared HTTP/2 connection that is open and below the peer's limit.
    pub(crate) fn free_slot(&self) -> Option<Slot> {
        self.pool.free_slot()
    }

    /// A place on a new connection, unless another request has opened one meanwhile.
    pub(crate) async fn open_slot(&self, dialer: &Dialer) -> Result<Slot, Failure> {
        let _opening = self.pool.opening.lock().await;
        if let Some(slot) = self.pool.free_slot() {
            return Ok(slot);
        }
        let connection = Http2::handshake(self.open(Payload::Http2, dialer).await?).await?;
        let slot = connection.slot();
        self.share(connection);
        Ok(slot)
    }

    fn share(&self, connection: Http2) {
        if !self.drain_state.gone.get() {
            self.pool.share(connection);
        }
    }

    /// A request over HTTP/2 in the words that the endpoint knows: nearly always the client's.
    pub(crate) fn put<B>(&self, mut request: Request<B>) -> Result<Request<B>, Failure> {
        match &self.speech {
            None => Ok(request),
            Some(speech) => speech.put(request.uri_mut()).map(|()| request),
        }
    }

    /// The name that the endpoint knows itself by, where that is not the client's.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.speech.as_ref().and_then(|speech| speech.host())
    }

    /// Takes note of what the snapshot says of the endpoint.
    pub(crate) fn observe(&self, usable: bool, service: Option<&Service>, now: Now) {
        let mut departure = self.departure.get();
        departure.observe(usable, service, now);
        self.departure.set(departure);
    }

    /// Lets go of every connection that no request is using; those that one is using are not kept afterwards.
    pub(crate) fn leave(&self) {
        self.drain_state.gone.set(true);
        self.forget_idle();
    }

    /// May be used again.
    pub(crate) fn come_back(&self) {
        self.drain_state.gone.set(false);
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
        self.pool.forget();
        self.each_per_client(Upstream::forget_idle);
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
        self.pool.reap();
        self.per_client.borrow_mut().retain(|per_client| per_client.strong_count() > 0);
        self.each_per_client(Upstream::reap);
    }

    fn each_per_client(&self, act: impl Fn(&Upstream)) {
        self.per_client.borrow().iter().filter_map(Weak::upgrade).for_each(|per_client| act(&per_client));
    }

    fn keeps_any(&self) -> bool {
        let per_client = self.per_client.borrow();
        !self.pool.is_empty()
            || per_client.iter().filter_map(Weak::upgrade).any(|per_client| per_client.keeps_any())
    }

    /// Whether it has had a connection since this was asked last: one that was opened, is kept, or carries something.
    pub(crate) fn was_used(&self) -> bool {
        let opened = self.drain_state.opened.replace(false);
        opened || self.keeps_any() || self.stats.load.active() + self.stats.load.inactive() > 0
    }
}
