//! One flow: a client, the endpoint that it has at the moment, and the way from one to the other.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use svc_core::address::{ClientAddr, Transport};
use svc_core::balance::{Ask, Tried};
use svc_core::endpoints::EndpointId;
use svc_core::flows::{FlowId, FlowKey, must_move};
use svc_core::outcome::Failure;
use svc_core::time::Now;

use super::batch::Batch;
use super::listener::Listener;
use super::socket;
use crate::client::facts::{Arrival, Destination};
use crate::context::WorkerContext;
use crate::exchange::account::Account;
use crate::metrics::{DatagramLoss, Direction, Protocol, Towards};
use crate::routing::resolve::caller;
use crate::routing::route::{Picked, Route};
use crate::upstream::outbound_proxy_header::of_datagrams;

/// Counts itself.
pub(super) struct UdpFlow {
    pub(super) id: FlowId,
    pub(super) client: SocketAddr,
    destination: SocketAddr,
    /// By which it came.
    pub(super) listener: Rc<Listener>,
    /// By which answers go back: from the address that the client sent to.
    pub(super) answers: Rc<UdpSocket>,
    line: Option<FlowPath>,
    /// The endpoints that have failed since one answered.
    tried: Tried,
    /// How the last of them did, until there is another.
    failure: Option<Failure>,
    account: Account,
    context: Rc<WorkerContext>,
    sent: Now,
    moved: Now,
    /// What the Service says of flows on which nothing happens.
    idle: Option<Duration>,
    /// No descriptor, or no port, was to be had for it.
    pub(super) is_short: bool,
}

/// The way to an endpoint.
struct FlowPath {
    socket: UdpSocket,
    to: EndpointId,
    /// Where it is among the members of the route of this version.
    at: usize,
    version: u64,
    /// What each datagram begins with, where the Service wants its endpoints to be told of clients.
    header: Vec<u8>,
}

/// Stands for a destination that is no endpoint: none has this identity (`core/src/endpoints/mod.rs` begins with 1).
const PASSTHROUGH: EndpointId = EndpointId(0);

/// What a flow needs of its worker.
#[derive(Clone, Copy)]
pub(super) struct FlowContext<'a> {
    pub(super) context: &'a Rc<WorkerContext>,
    /// Tells when an endpoint has answered.
    pub(super) epoll: BorrowedFd<'a>,
}

impl UdpFlow {
    /// A flow that has no endpoint yet.
    pub(super) fn new(
        id: FlowId,
        key: FlowKey,
        listener: &Rc<Listener>,
        answers: Rc<UdpSocket>,
        context: &Rc<WorkerContext>,
        now: Now,
    ) -> UdpFlow {
        context.shared.udp_flows.fetch_add(1, Relaxed);
        let client = key.client.0;
        UdpFlow {
            id,
            client,
            destination: key.destination.0,
            listener: listener.clone(),
            answers,
            line: None,
            tried: Tried::NONE,
            failure: None,
            account: Account::open(context, Arrival::of(client, Direction::Outbound), Protocol::Udp),
            context: context.clone(),
            sent: now,
            moved: now,
            idle: None,
            is_short: false,
        }
    }

    /// Sends the datagrams at `places` to the endpoint of this flow, or to another where that one has left, is out, or refuses. Without a
    /// `route` they go where they were going.
    ///
    /// # Errors
    /// There is nobody to send the rest of them to, `places`.
    pub(super) fn carry(
        &mut self,
        places: &mut Range<usize>,
        batch: &mut Batch,
        route: Option<&Route>,
        place: FlowContext<'_>,
        now: Now,
    ) -> Result<(), Failure> {
        self.moved = now;
        self.idle = route.and_then(|route| route.target.service.handling.idle_timeout);
        let mut second_round = false;
        while places.start < places.end {
            let found = match route {
                Some(route) => self.find_line(route, place, now),
                None => self.pass_through(place, now),
            };
            if let Err(failure) = found {
                if second_round || self.failure.is_none() {
                    return Err(failure);
                }
                // All have failed, some of them a while ago: once more from the beginning.
                (self.tried, second_round) = (Tried::NONE, true);
                continue;
            }
            let Some(line) = &self.line else { continue };
            match batch.send(places.clone(), &line.header, |_| None, &line.socket) {
                Ok(count) => {
                    let sent = places.start..places.start + count;
                    self.account.sent(batch.bytes(sent));
                    self.sent = now;
                    place.context.recorder.metrics.datagrams.forwarded(Towards::Upstream, count);
                    places.start += count;
                }
                Err(error) => match Trouble::of(&error) {
                    Trouble::Lost(lost, count) => {
                        let count = count.min(places.len());
                        place.context.recorder.metrics.datagrams.dropped(Towards::Upstream, lost, count);
                        places.start += count;
                    }
                    Trouble::Failed(failure) => self.fails(failure),
                },
            }
        }
        Ok(())
    }

    /// Sees to it that there is a way to the endpoint that the next datagram goes to.
    fn find_line(&mut self, route: &Route, place: FlowContext<'_>, now: Now) -> Result<(), Failure> {
        if !self.stays(route, now) {
            self.line = None;
        }
        while self.line.is_none() {
            self.connect(route, place, now)?;
        }
        Ok(())
    }

    /// Sees to it that there is a way to where the client sends: that is no Service of ours, any more or yet.
    fn pass_through(&mut self, place: FlowContext<'_>, now: Now) -> Result<(), Failure> {
        if self.line.as_ref().is_some_and(|line| line.to == PASSTHROUGH) {
            return Ok(());
        }
        place.context.recorder.metrics.passed_through.fetch_add(1, Relaxed);
        place.context.router.look_up_address(self.destination);
        let passthrough = place.context.router.endpoints.passthrough(self.destination);
        self.account.serves(&Arc::default());
        self.account.tries(&passthrough, None, now);
        let opened = self.open(self.destination, place);
        let socket = opened.map_err(|error| match Trouble::of(&error) {
            Trouble::Lost(..) => Failure::TooManyConnections,
            Trouble::Failed(failure) => failure,
        })?;
        self.line = Some(FlowPath { socket, to: PASSTHROUGH, at: 0, version: 0, header: Vec::new() });
        Ok(())
    }

    fn stays(&mut self, route: &Route, now: Now) -> bool {
        let Some(line) = &mut self.line else { return false };
        let at = match line.version == route.version {
            true => Some(line.at),
            false => route.members.iter().position(|member| member.id == line.to),
        };
        if line.version != route.version {
            (line.at, line.version) = (at.unwrap_or(line.at), route.version);
            line.header = header(&line.socket, route, self.client, self.destination);
        }
        if let (Some(_), Some(begun)) = (at, self.account.probe_begun()) {
            // It goes to an endpoint that is out, to find out whether it still is. Who does not even say that nobody is there is well:
            // there are protocols that do not answer.
            if now.since(begun) >= REFUSED_WITHIN {
                self.account.heard(0, now);
            }
            return true;
        }
        !must_move(&route.members, at)
    }

    /// Takes a turn, which may fail: then another endpoint is next.
    fn connect(&mut self, route: &Route, place: FlowContext<'_>, now: Now) -> Result<(), Failure> {
        let caller = caller(ClientAddr(self.client), Destination::Address(self.destination), route);
        let ask = Ask { caller, tried: &self.tried, replayable: false };
        let (endpoints, draw) = (&place.context.router.endpoints, place.context.draw());
        let turn = route.pick(&ask, None, self.failure, endpoints, now, draw)?;
        let Picked { id, place: at, upstream, probe } = turn;
        if let Some(failure) = self.failure.take() {
            self.account.retried(failure);
        }
        self.account.serves(&route.port.label);
        self.account.tries(upstream, probe, now);
        if place.context.dialer.is_own(Transport::Udp, upstream.addr) {
            self.tried.insert(id);
            self.failure = Some(Failure::Loop);
            return Ok(());
        }
        match self.open(upstream.addr, place) {
            Ok(socket) => {
                let header = header(&socket, route, self.client, self.destination);
                self.line = Some(FlowPath { socket, to: id, at, version: route.version, header });
            }
            Err(error) => match Trouble::of(&error) {
                Trouble::Lost(..) => {
                    self.is_short = true;
                    return Err(Failure::TooManyConnections);
                }
                Trouble::Failed(failure) => {
                    self.tried.insert(id);
                    self.account.refused(failure, now);
                    self.failure = Some(failure);
                }
            },
        }
        Ok(())
    }

    fn open(&self, endpoint: SocketAddr, place: FlowContext<'_>) -> io::Result<UdpSocket> {
        let socket = socket::connect(endpoint, place.context.config.privileges)?;
        epoll::add(place.epoll, &socket, EventData::new_u64(self.id.to_word()), EventFlags::IN)?;
        Ok(socket)
    }

    /// Takes what the endpoint has answered, into the places `into`. How many datagrams.
    pub(super) fn answers(&mut self, into: Range<usize>, batch: &mut Batch, now: Now) -> usize {
        let Some(line) = &self.line else { return 0 };
        let first = into.start;
        match batch.receive_into(into, &line.socket) {
            Ok(count) => {
                self.moved = now;
                (self.tried, self.failure) = (Tried::NONE, None);
                self.account.heard(batch.bytes(first..first + count), now);
                count
            }
            Err(error) => {
                if let Trouble::Failed(failure) = Trouble::of(&error) {
                    self.fails(failure);
                }
                0
            }
        }
    }

    /// The endpoint does not take datagrams. The next one goes elsewhere.
    fn fails(&mut self, failure: Failure) {
        let Some(line) = self.line.take() else { return };
        self.tried.insert(line.to);
        self.account.refused(failure, self.sent);
        self.failure = Some(failure);
    }

    /// How long nothing may happen.
    pub(super) fn idle(&self) -> Option<Duration> {
        match self.idle {
            None => Some(IDLE),
            Some(Duration::ZERO) => None,
            Some(idle) => Some(idle),
        }
    }

    /// It is over, by `failure` if that is why.
    pub(super) fn end(mut self, failure: Option<Failure>) {
        self.account.ended(failure.or(self.failure), self.moved);
    }
}

impl Drop for UdpFlow {
    fn drop(&mut self) {
        self.context.shared.udp_flows.fetch_sub(1, Relaxed);
    }
}

/// What the datagrams of `client` to `destination` begin with.
fn header(socket: &UdpSocket, route: &Route, client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    if route.target.service.handling.proxy_protocol.is_none() {
        return Vec::new(); // nobody needs to know where the socket is
    }
    match (socket.local_addr(), socket.peer_addr()) {
        (Ok(near), Ok(far)) => of_datagrams(&route.target, client, destination, near, far),
        (Err(_), _) | (_, Err(_)) => Vec::new(), // it is broken, and the next use says so
    }
}

/// Why datagrams could not be sent, or received.
pub(super) enum Trouble {
    /// That many of them are lost, and nobody is to blame.
    Lost(DatagramLoss, usize),
    /// The other side takes none.
    Failed(Failure),
}

impl Trouble {
    /// On a connected socket `ECONNREFUSED` is the answer to a datagram before: ICMP's "port unreachable".
    pub(super) fn of(error: &io::Error) -> Trouble {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                Trouble::Lost(DatagramLoss::Full, usize::MAX)
            }
            Some(Errno::MFILE | Errno::NFILE | Errno::ADDRINUSE) => {
                Trouble::Lost(DatagramLoss::Limit, usize::MAX)
            }
            Some(Errno::MSGSIZE) => Trouble::Lost(DatagramLoss::TooBig, 1),
            Some(Errno::CONNREFUSED) => Trouble::Failed(Failure::ConnectRefused),
            Some(_) | None => Trouble::Failed(Failure::Unreachable),
        }
    }
}

/// How long a flow may be idle where its Service does not say. Each holds a descriptor and a port, so minutes (RFC 4787 §4.3, for NAT, whose
/// client cannot come back by a way that has gone) would be too many: here the next datagram begins a new flow, which only a server minds
/// that knows its clients by their ports. What asks once is answered in seconds, and what keeps a flow alive (QUIC, WireGuard, DTLS) does so
/// every 15 to 30 seconds, for the sake of NATs.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// An endpoint that is not there says so within a round trip.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);
