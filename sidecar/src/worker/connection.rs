//! The story of one client connection: where it was going, what it speaks, and who carries it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use svc_core::address::Transport;
use svc_core::balance::Caller;
use svc_core::outcome::Failure;
use svc_core::protocol::Hint;
use svc_core::sniff::Sniffed;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::plan::{Door, Way, canonical, inward, whither};
use crate::client::alpn;
use crate::client::clients::Admission;
use crate::client::detect::{Detected, detect};
use crate::client::facts::Aim;
use crate::client::facts::Guest;
use crate::client::facts::Told;
use crate::client::facts::{Arrival, Scheme};
use crate::client::io::ClientIo;
use crate::client::proxy_header;
use crate::client::tls::{self, Secured};
use crate::config::{ProxyProtocolIn, ShownBy};
use crate::context::WorkerContext;
use crate::descriptors;
use crate::exchange::account::Account;
use crate::exchange::relay::Already;
use crate::exchange::tunnel;
use crate::http::pulse::Deadlines;
use crate::http::pulse::Pulse;
use crate::memory::Holder;
use crate::metrics::floods::Flood;
use crate::metrics::{Direction, Protocol};
use crate::net::ending;
use crate::net::socket;
use crate::net::stream::Stream;
use crate::net::tls_client::Carries;
use crate::routing::resolve::{Origin, caller};
use crate::routing::route::Route;
use crate::server;
use crate::upstream::UpstreamIo;

/// Takes in one client connection; a task of its own carries it from its first byte to its last.
pub(crate) fn begin(stream: TcpStream, peer: SocketAddr, door: Door, context: &Rc<WorkerContext>) {
    let peer = canonical(peer);
    let arrival = Arrival::of(peer, door.direction());
    let Some(admission) = context.clients.admit().filter(|_| !descriptors::is_reserved(&stream)) else {
        ending::break_when_dropped(&stream);
        context.recorder.metrics.flooded(Flood::Connections);
        return Account::open(context, arrival, Protocol::Tcp).fail(Failure::TooManyConnections);
    };
    socket::prepare(&stream);
    let way = match whither(&stream, peer, door, context) {
        Ok(way) => way,
        Err(failure) => {
            ending::break_when_dropped(&stream);
            return Account::open(context, arrival, Protocol::Tcp).fail(failure);
        }
    };
    let newcomer = Newcomer { stream, arrival, told: None, admission };
    match (arrival.direction, context.config.limits.proxy_protocol_in) {
        (Direction::Outbound, _) | (Direction::Inbound, ProxyProtocolIn::Off) => {
            enter(newcomer, way, door, context)
        }
        (Direction::Inbound, ProxyProtocolIn::Require | ProxyProtocolIn::Observe) => {
            let context = context.clone();
            spawn_local(async move { greet(newcomer, way, door, &context).await });
        }
    }
}

/// Learns from its first bytes whom a connection is for, and lets it in.
async fn greet(mut newcomer: Newcomer, way: Way, door: Door, context: &Rc<WorkerContext>) {
    let (arrival, stream) = (newcomer.arrival, &mut newcomer.stream);
    let greeted = match context.config.limits.proxy_protocol_in {
        ProxyProtocolIn::Require => proxy_header::require(stream, arrival.peer, &context.clients).await,
        ProxyProtocolIn::Observe | ProxyProtocolIn::Off => {
            let wants =
                way.route().is_some_and(|route| route.target.service.handling.proxy_protocol.is_some());
            match proxy_header::observe(stream, arrival.peer, wants, &context.clients).await {
                Ok(()) => return enter(newcomer, way, door, context),
                Err(failure) => Err(failure),
            }
        }
    };
    match greeted {
        Ok(Some(told)) => {
            let client = told.client().unwrap_or(arrival.client);
            newcomer.arrival.client = client;
            newcomer.told = Some(told);
            let way =
                way.doorway_of_client().map_or(way, |doorway| inward(doorway.named(client.0.ip()), context));
            enter(newcomer, way, door, context);
        }
        Ok(None) => {} // it came and went
        Err(failure) => {
            ending::break_when_dropped(&newcomer.stream);
            Account::open(context, arrival, Protocol::Tcp).fail(failure);
        }
    }
}

/// Sends a connection on its way: what is inside of it, where it is one of TLS that ends here.
fn enter(newcomer: Newcomer, way: Way, door: Door, context: &Rc<WorkerContext>) {
    match way.shown(door, context).cloned() {
        None => {
            let Newcomer { stream, arrival, told, admission } = newcomer;
            carry(Client { stream: stream.into(), arrival, told, admission, idle: way.idle() }, way, context);
        }
        Some(shown) => {
            let context = context.clone();
            spawn_local(async move { carry_secured(newcomer, way, &shown, &context).await });
        }
    }
}

/// Each way is another task, so that a connection holds what its way needs, not what the largest would.
fn carry(client: Client, way: Way, context: &Rc<WorkerContext>) {
    let context = context.clone();
    match way {
        Way::Speak(aim, hint, _) => {
            spawn_local(speak(client, aim, hint, context));
        }
        Way::Bytes(route, aim) => {
            let caller = caller(client.arrival.client, aim, &route);
            let read = Read { bytes: Bytes::new(), carries: Carries::Bytes };
            spawn_local(async move { carry_bytes(client, read, aim, &route, caller, &context).await });
        }
        Way::Through(destination) => {
            spawn_local(async move { pass_through(client, destination, &context).await });
        }
    }
}

/// Ends TLS, and sends what is inside on its way.
async fn carry_secured(newcomer: Newcomer, way: Way, shown: &ShownBy, context: &Rc<WorkerContext>) {
    let Newcomer { stream, mut arrival, told, admission } = newcomer;
    match tls::accept(stream, way.hint(), shown, &context.clients).await {
        Ok(Some(Secured { stream, is_http })) => {
            arrival.scheme = Scheme::Https;
            let way = if is_http { way.of_http() } else { way };
            carry(Client { stream, arrival, told, admission, idle: way.idle() }, way, context);
        }
        Ok(None) => {} // came and went
        Err(failure) => Account::open(context, arrival, Protocol::Tcp).fail(failure),
    }
}

/// Who connected, before anything of what they say was heard.
struct Newcomer {
    stream: TcpStream,
    arrival: Arrival,
    /// What its peer had to say of it.
    told: Option<Rc<Told>>,
    admission: Admission,
}

/// Who connected, and the connection.
struct Client {
    stream: Stream,
    arrival: Arrival,
    /// What its peer had to say of it.
    told: Option<Rc<Told>>,
    admission: Admission,
    /// What the Service at the address says of connections on which nothing happens.
    idle: Option<Duration>,
}

impl Client {
    /// Who this is on its way to `aim`, to endpoints that ask.
    fn guest(&self, aim: Aim) -> Guest {
        Guest { arrival: self.arrival, aim, told: self.told.clone() }
    }

    /// What it makes us hold.
    fn holder(&self) -> Holder {
        self.admission.holder.clone()
    }

    fn into_io(self, prefix: Bytes, pulse: Arc<Pulse>) -> ClientIo {
        ClientIo {
            stream: self.stream,
            prefix,
            pulse,
            idle: self.idle,
            ended: false,
            linger: None,
            records: self.admission.holder.hold(0),
            admission: self.admission,
        }
    }
}

/// Finds out what the client speaks, and serves that. Of a failure, what no request has seen is recorded here.
fn speak(client: Client, aim: Aim, hint: Hint, context: Rc<WorkerContext>) -> impl Future<Output = ()> {
    // Not in the block, which would hold a client twice that it borrows and then hands on.
    let (arrival, pulse) = (client.arrival, Pulse::of(client.holder()));
    async move {
        if let Err(failure) = detect_and_serve(client, aim, hint, &pulse, &context).await {
            let mut account = Account::open(&context, arrival, Protocol::Tcp);
            if let Some(begun) = pulse.turns.begun() {
                account.set_details(|| begun);
            }
            account.fail(failure);
        }
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold the client twice, a block holds it once"
)]
fn detect_and_serve(
    mut client: Client,
    aim: Aim,
    hint: Hint,
    pulse: &Arc<Pulse>,
    context: &Rc<WorkerContext>,
) -> impl Future<Output = Result<(), Failure>> {
    async move {
        let limits = &context.config.deadlines;
        let idle = client.idle.or(limits.idle_http).unwrap_or_default();
        let deadlines = Deadlines { header: limits.header, idle };
        let membership = context.clients.tracker.enter(pulse.clone(), deadlines);
        // What was HTTP before is HTTP, and what of it cannot be read is refused as such.
        let is_unknown = hint == Hint::Unknown && !speaks_http(aim, context);
        let limit = is_unknown.then_some(limits.detect);
        let detected = detect(&mut client.stream, pulse, limit, &membership).await?;
        if detected.is_gone {
            return Ok(());
        }
        if let Some(told) = alpn::breach(client.stream.agreed(), &detected) {
            return Box::pin(alpn::refuse(client.stream, told)).await; // rare: not part of every task
        }
        let is_unread = match detected.protocol {
            Sniffed::Http1 | Sniffed::Http2 => false,
            Sniffed::Tls => hint == Hint::Unknown || encrypts(aim, context),
            Sniffed::Opaque | Sniffed::More => is_unknown,
        };
        match (detected.protocol, is_unread) {
            (Sniffed::Http2, _) => {
                pulse.busy(); // streams have no head of the connection's own to wait for
                let origin = Origin::new(client.guest(aim), client.holder(), None, &context.router);
                let io = client.into_io(detected.read, pulse.clone());
                Box::pin(server::http2::serve(io, origin, context, &membership)).await
            }
            (Sniffed::Tls | Sniffed::Opaque | Sniffed::More, true) => {
                drop(membership);
                client.stream.break_when_dropped();
                if detected.timed_out {
                    context.recorder.metrics.detect_timeouts.fetch_add(1, Relaxed);
                }
                let origin = Origin::new(client.guest(aim), client.holder(), None, &context.router);
                let route = origin.route_unread(&context.router)?;
                let caller = caller(client.arrival.client, aim, &route);
                Box::pin(carry_bytes(client, detected.into(), aim, &route, caller, context)).await;
                Ok(())
            }
            (Sniffed::Opaque | Sniffed::More, false) if detected.read.is_empty() => Ok(()), // came and went
            (Sniffed::Http1 | Sniffed::Tls | Sniffed::Opaque | Sniffed::More, _) => {
                let origin = Rc::new(Origin::new(
                    client.guest(aim),
                    client.holder(),
                    Some(pulse.clone()),
                    &context.router,
                ));
                server::http1::serve_http1(
                    client.into_io(detected.read, pulse.clone()),
                    origin,
                    context,
                    &membership,
                )
                .await
            }
        }
    }
}

/// Whether endpoints there have answered in HTTP before.
fn speaks_http(aim: Aim, context: &WorkerContext) -> bool {
    match aim {
        Aim::Request => true,
        Aim::Application(doorway) => {
            context.router.application(doorway).port.shared.speaks_http.load(Relaxed)
        }
        Aim::Address(destination) => {
            let table = context.router.table.load();
            let target = table.by_destination(Transport::Tcp, destination);
            target.is_some_and(|target| context.router.route(target).port.shared.speaks_http.load(Relaxed))
        }
    }
}

/// Whether what goes there is encrypted on the way: what a client has encrypted itself then needs no more, and cannot be read.
fn encrypts(aim: Aim, context: &WorkerContext) -> bool {
    let Aim::Address(destination) = aim else { return false };
    let table = context.router.table.load();
    let target = table.by_destination(Transport::Tcp, destination);
    let manner = target.and_then(|target| target.manner.as_ref());
    manner.is_some_and(|manner| manner.tls.is_some())
}

/// What was read of a client, and what it means for the way to the endpoint.
struct Read {
    bytes: Bytes,
    carries: Carries,
}

impl From<Detected> for Read {
    fn from(detected: Detected) -> Read {
        let carries = match detected.protocol {
            Sniffed::Tls => Carries::Untouched,
            Sniffed::Http1 | Sniffed::Http2 | Sniffed::Opaque | Sniffed::More => Carries::Bytes,
        };
        Read { bytes: detected.read, carries }
    }
}

/// Carries bytes to an endpoint of `route`.
async fn carry_bytes(
    client: Client,
    read: Read,
    aim: Aim,
    route: &Rc<Route>,
    caller: Caller,
    context: &Rc<WorkerContext>,
) {
    client.stream.break_when_dropped(); // also where no endpoint can be had: to this client an end would be an answer
    let mut account = Account::open(context, client.arrival, Protocol::Tcp);
    let guest = client.guest(aim);
    match tunnel::dial(route, read.carries, caller, &guest, context, &mut account).await {
        Ok(upstream) => join(client, read.bytes, upstream, account, context).await,
        Err(failure) => account.fail(failure),
    }
}

/// Carries bytes to a destination that is no Service of ours, untouched.
async fn pass_through(client: Client, destination: SocketAddr, context: &Rc<WorkerContext>) {
    client.stream.break_when_dropped();
    context.recorder.metrics.passed_through.fetch_add(1, Relaxed);
    let mut account = Account::open(context, client.arrival, Protocol::Tcp);
    let stranger = context.router.endpoints.passthrough(destination);
    account.tries(&stranger, None, account.begun);
    match stranger.open(Carries::Untouched, &context.dialer).await {
        Ok(upstream) => join(client, Bytes::new(), upstream, account, context).await,
        Err(failure) => account.fail(failure),
    }
}

async fn join(client: Client, read: Bytes, upstream: UpstreamIo, account: Account, context: &WorkerContext) {
    let pulse = Pulse::of(client.holder());
    let client = client.into_io(Bytes::new(), pulse);
    let already = Already { from_client: read.into(), ..Already::default() };
    tunnel::carry(client, upstream, already, account, context).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::forward::exchange;
    use crate::exchange::http1_body::Http1Body;

    /// An idle HTTP/1.1 connection holds them beside hyper's two buffers of 8 KiB: its task, and the place of its next exchange. Compilers
    /// differ a little, hence the margins; an argument that is held twice is larger.
    #[test]
    fn an_idle_connection_holds_a_small_task_and_a_small_exchange() {
        let task = of_four(speak);
        assert!(
            task <= 1872,
            "{task} bytes; 1760 when this was written, 208 of them what guards heads and chunks"
        );
        let exchange = of_four(exchange::<Http1Body>);
        assert!(exchange <= 1984, "{exchange} bytes; 1864 when this was written");
    }

    /// The size of what a function of four arguments returns.
    fn of_four<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
}
