//! The story of one client connection: where it was going, what it speaks, and who carries it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use svc_core::address::{Transport, canonical};
use svc_core::balance::Caller;
use svc_core::outcome::Failure;
use svc_core::protocol::ProtocolHint;
use svc_core::sniff::Sniffed;
use tokio::task::spawn_local;

use super::plan::{ConnectionPlan, ListenerKind, plan, plan_inbound};
use crate::client::clients::Admission;
use crate::client::detect::{Detected, detect};
use crate::client::facts::{Arrival, ClientInfo, Destination, ProxyHeader, Scheme};
use crate::client::io::ClientIo;
use crate::client::tls::{self, Secured};
use crate::client::{alpn, proxy_header};
use crate::config::{ProxyProtocolIn, ShownBy};
use crate::context::WorkerContext;
use crate::exchange::account::Account;
use crate::exchange::relay::Prebuffered;
use crate::exchange::tunnel;
use crate::http::pulse::{ConnDeadlines, Pulse};
use crate::memory::Holder;
use crate::metrics::floods::Flood;
use crate::metrics::{Direction, Protocol};
use crate::net::stream::Stream;
use crate::net::tls_client::Payload;
use crate::net::{TcpStream, ending, socket};
use crate::routing::resolve::{ClientOrigin, caller};
use crate::routing::route::Route;
use crate::upstream::UpstreamIo;
use crate::{descriptors, server};

/// Takes in one client connection; a task of its own carries it from its first byte to its last.
pub(crate) fn begin(
    stream: TcpStream,
    peer: SocketAddr,
    listener_kind: ListenerKind,
    context: &Rc<WorkerContext>,
) {
    let peer = canonical(peer);
    let arrival = Arrival::of(peer, listener_kind.direction());
    let Some(admission) = context.clients.admit().filter(|_| !descriptors::is_reserved(&stream)) else {
        ending::break_when_dropped(&stream);
        context.recorder.metrics.flooded(Flood::Connections);
        return Account::open(context, arrival, Protocol::Tcp).fail(Failure::TooManyConnections);
    };
    socket::prepare(&stream);
    let plan = match plan(&stream, peer, listener_kind, context) {
        Ok(plan) => plan,
        Err(failure) => {
            ending::break_when_dropped(&stream);
            return Account::open(context, arrival, Protocol::Tcp).fail(failure);
        }
    };
    let accepted = AcceptedConn { stream, arrival, proxy_header: None, admission };
    match (arrival.direction, context.config.limits.proxy_protocol_in) {
        (Direction::Outbound, _) | (Direction::Inbound, ProxyProtocolIn::Off) => {
            dispatch(accepted, plan, listener_kind, context)
        }
        (Direction::Inbound, ProxyProtocolIn::Require | ProxyProtocolIn::Observe) => {
            let context = context.clone();
            spawn_local(async move { read_proxy_header(accepted, plan, listener_kind, &context).await });
        }
    }
}

/// Learns from its first bytes whom a connection is for, and lets it in.
async fn read_proxy_header(
    mut accepted: AcceptedConn,
    plan: ConnectionPlan,
    listener_kind: ListenerKind,
    context: &Rc<WorkerContext>,
) {
    let (arrival, stream) = (accepted.arrival, &mut accepted.stream);
    let header = match context.config.limits.proxy_protocol_in {
        ProxyProtocolIn::Require => proxy_header::require(stream, arrival.peer, &context.clients).await,
        ProxyProtocolIn::Observe | ProxyProtocolIn::Off => {
            let wants =
                plan.route().is_some_and(|route| route.target.service.handling.proxy_protocol.is_some());
            match proxy_header::observe(stream, arrival.peer, wants, &context.clients).await {
                Ok(()) => return dispatch(accepted, plan, listener_kind, context),
                Err(failure) => Err(failure),
            }
        }
    };
    match header {
        Ok(Some(proxy_header)) => {
            let client = proxy_header.client().unwrap_or(arrival.client);
            accepted.arrival.client = client;
            accepted.proxy_header = Some(proxy_header);
            let plan = plan
                .local_target_of_client()
                .map_or(plan, |local_target| plan_inbound(local_target.named(client.0.ip()), context));
            dispatch(accepted, plan, listener_kind, context);
        }
        Ok(None) => {} // it came and went
        Err(failure) => {
            ending::break_when_dropped(&accepted.stream);
            Account::open(context, arrival, Protocol::Tcp).fail(failure);
        }
    }
}

/// Sends a connection on its way: what is inside of it, where it is one of TLS that ends here.
fn dispatch(
    accepted: AcceptedConn,
    plan: ConnectionPlan,
    listener_kind: ListenerKind,
    context: &Rc<WorkerContext>,
) {
    match plan.shown(listener_kind, context).cloned() {
        None => {
            let AcceptedConn { stream, arrival, proxy_header, admission } = accepted;
            carry(
                ClientConn { stream: stream.into(), arrival, proxy_header, admission, idle: plan.idle() },
                plan,
                context,
            );
        }
        Some(shown) => {
            let context = context.clone();
            spawn_local(async move { carry_secured(accepted, plan, &shown, &context).await });
        }
    }
}

/// Each way is another task, so that a connection holds what its way needs, not what the largest would.
fn carry(client: ClientConn, plan: ConnectionPlan, context: &Rc<WorkerContext>) {
    let context = context.clone();
    match plan {
        ConnectionPlan::Speak(destination, hint, _) => {
            spawn_local(speak(client, destination, hint, context));
        }
        ConnectionPlan::Bytes(route, destination) => {
            let caller = caller(client.arrival.client, destination, &route);
            let read = ReadBytes { bytes: Bytes::new(), payload: Payload::Bytes };
            spawn_local(
                async move { carry_bytes(client, read, destination, &route, caller, &context).await },
            );
        }
        ConnectionPlan::Through(destination) => {
            spawn_local(async move { pass_through(client, destination, &context).await });
        }
    }
}

/// Ends TLS, and sends what is inside on its way.
async fn carry_secured(
    accepted: AcceptedConn,
    plan: ConnectionPlan,
    shown: &ShownBy,
    context: &Rc<WorkerContext>,
) {
    let AcceptedConn { stream, mut arrival, proxy_header, admission } = accepted;
    match tls::accept(stream, plan.hint(), shown, &context.clients).await {
        Ok(Some(Secured { stream, is_http })) => {
            arrival.scheme = Scheme::Https;
            let plan = if is_http { plan.of_http() } else { plan };
            carry(ClientConn { stream, arrival, proxy_header, admission, idle: plan.idle() }, plan, context);
        }
        Ok(None) => {} // came and went
        Err(failure) => Account::open(context, arrival, Protocol::Tcp).fail(failure),
    }
}

/// Who connected, before anything of what they say was heard.
struct AcceptedConn {
    stream: TcpStream,
    arrival: Arrival,
    /// What its peer had to say of it.
    proxy_header: Option<Rc<ProxyHeader>>,
    admission: Admission,
}

/// Who connected, and the connection.
struct ClientConn {
    stream: Stream,
    arrival: Arrival,
    /// What its peer had to say of it.
    proxy_header: Option<Rc<ProxyHeader>>,
    admission: Admission,
    /// What the Service at the address says of connections on which nothing happens.
    idle: Option<Duration>,
}

impl ClientConn {
    /// Who this is on its way to `destination`, to endpoints that ask.
    fn client_info(&self, destination: Destination) -> ClientInfo {
        ClientInfo { arrival: self.arrival, destination, proxy_header: self.proxy_header.clone() }
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
fn speak(
    client: ClientConn,
    destination: Destination,
    hint: ProtocolHint,
    context: Rc<WorkerContext>,
) -> impl Future<Output = ()> {
    // Not in the block, which would hold a client twice that it borrows and then hands on.
    let (arrival, pulse) = (client.arrival, Pulse::of(client.holder()));
    async move {
        if let Err(failure) = detect_and_serve(client, destination, hint, &pulse, &context).await {
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
    mut client: ClientConn,
    destination: Destination,
    hint: ProtocolHint,
    pulse: &Arc<Pulse>,
    context: &Rc<WorkerContext>,
) -> impl Future<Output = Result<(), Failure>> {
    async move {
        let limits = &context.config.deadlines;
        let idle = client.idle.or(limits.idle_http).unwrap_or_default();
        let deadlines = ConnDeadlines { header: limits.header, idle };
        let connection_guard = context.clients.tracker.enter(pulse.clone(), deadlines);
        // What was HTTP before is HTTP, and what of it cannot be read is refused as such.
        let is_unknown = hint == ProtocolHint::Unknown && !speaks_http(destination, context);
        let limit = is_unknown.then_some(limits.detect);
        let detected = detect(&mut client.stream, pulse, limit, &connection_guard).await?;
        if detected.is_gone {
            return Ok(());
        }
        if let Some(proxy_header) = alpn::breach(client.stream.agreed(), &detected) {
            return Box::pin(alpn::refuse(client.stream, proxy_header)).await; // rare: not part of every task
        }
        let is_unread = match detected.protocol {
            Sniffed::Http1 | Sniffed::Http2 => false,
            Sniffed::Tls => hint == ProtocolHint::Unknown || encrypts(destination, context),
            Sniffed::Opaque | Sniffed::More => is_unknown,
        };
        match (detected.protocol, is_unread) {
            (Sniffed::Http2, _) => {
                pulse.busy(); // streams have no head of the connection's own to wait for
                let origin = ClientOrigin::new(
                    client.client_info(destination),
                    client.holder(),
                    None,
                    &context.router,
                );
                let io = client.into_io(detected.read, pulse.clone());
                Box::pin(server::http2::serve(io, origin, context, &connection_guard)).await
            }
            (Sniffed::Tls | Sniffed::Opaque | Sniffed::More, true) => {
                drop(connection_guard);
                client.stream.break_when_dropped();
                if detected.timed_out {
                    context.recorder.metrics.detect_timeouts.fetch_add(1, Relaxed);
                }
                let origin = ClientOrigin::new(
                    client.client_info(destination),
                    client.holder(),
                    None,
                    &context.router,
                );
                let route = origin.route_unread(&context.router)?;
                let caller = caller(client.arrival.client, destination, &route);
                Box::pin(carry_bytes(client, detected.into(), destination, &route, caller, context)).await;
                Ok(())
            }
            (Sniffed::Opaque | Sniffed::More, false) if detected.read.is_empty() => Ok(()), // came and went
            (Sniffed::Http1 | Sniffed::Tls | Sniffed::Opaque | Sniffed::More, _) => {
                let origin = Rc::new(ClientOrigin::new(
                    client.client_info(destination),
                    client.holder(),
                    Some(pulse.clone()),
                    &context.router,
                ));
                server::http1::serve_http1(
                    client.into_io(detected.read, pulse.clone()),
                    origin,
                    context,
                    &connection_guard,
                )
                .await
            }
        }
    }
}

/// Whether endpoints there have answered in HTTP before.
fn speaks_http(destination: Destination, context: &WorkerContext) -> bool {
    match destination {
        Destination::Request => true,
        Destination::Application(local_target) => {
            context.router.application(local_target).port.shared.speaks_http.load(Relaxed)
        }
        Destination::Address(destination) => {
            let table = context.router.table.load();
            let target = table.by_destination(Transport::Tcp, destination);
            target.is_some_and(|target| context.router.route(target).port.shared.speaks_http.load(Relaxed))
        }
    }
}

/// Whether what goes there is encrypted on the way: what a client has encrypted itself then needs no more, and cannot be read.
fn encrypts(destination: Destination, context: &WorkerContext) -> bool {
    let Destination::Address(destination) = destination else { return false };
    let table = context.router.table.load();
    let target = table.by_destination(Transport::Tcp, destination);
    let rewrite = target.and_then(|target| target.rewrite.as_ref());
    rewrite.is_some_and(|rewrite| rewrite.tls.is_some())
}

/// What was read of a client, and what it means for the way to the endpoint.
struct ReadBytes {
    bytes: Bytes,
    payload: Payload,
}

impl From<Detected> for ReadBytes {
    fn from(detected: Detected) -> ReadBytes {
        let payload = match detected.protocol {
            Sniffed::Tls => Payload::Untouched,
            Sniffed::Http1 | Sniffed::Http2 | Sniffed::Opaque | Sniffed::More => Payload::Bytes,
        };
        ReadBytes { bytes: detected.read, payload }
    }
}

/// Carries bytes to an endpoint of `route`.
async fn carry_bytes(
    client: ClientConn,
    read: ReadBytes,
    destination: Destination,
    route: &Rc<Route>,
    caller: Caller,
    context: &Rc<WorkerContext>,
) {
    client.stream.break_when_dropped(); // also where no endpoint can be had: to this client an end would be an answer
    let mut account = Account::open(context, client.arrival, Protocol::Tcp);
    let client_info = client.client_info(destination);
    match tunnel::dial(route, read.payload, caller, &client_info, context, &mut account).await {
        Ok(upstream) => join(client, read.bytes, upstream, account, context).await,
        Err(failure) => account.fail(failure),
    }
}

/// Carries bytes to a destination that is no Service of ours, untouched.
async fn pass_through(client: ClientConn, destination: SocketAddr, context: &Rc<WorkerContext>) {
    client.stream.break_when_dropped();
    context.recorder.metrics.passed_through.fetch_add(1, Relaxed);
    context.router.look_up_address(destination);
    let mut account = Account::open(context, client.arrival, Protocol::Tcp);
    let passthrough = context.router.endpoints.passthrough(destination);
    account.tries(&passthrough, None, account.begun);
    match passthrough.open(Payload::Untouched, &context.dialer).await {
        Ok(upstream) => join(client, Bytes::new(), upstream, account, context).await,
        Err(failure) => account.fail(failure),
    }
}

async fn join(
    client: ClientConn,
    read: Bytes,
    upstream: UpstreamIo,
    account: Account,
    context: &WorkerContext,
) {
    let pulse = Pulse::of(client.holder());
    let client = client.into_io(Bytes::new(), pulse);
    let prebuffered = Prebuffered { from_client: read.into(), ..Prebuffered::default() };
    tunnel::carry(client, upstream, prebuffered, account, context).await;
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
            task <= 1952,
            "{task} bytes; 1760 when this was written, 208 of them what guards heads and chunks; 1912 in a build of the whole workspace, \
             whose tools ask more features of libraries"
        );
        let exchange = of_four(exchange::<Http1Body>);
        assert!(exchange <= 1984, "{exchange} bytes; 1864 when this was written");
    }

    /// The size of what a function of four arguments returns.
    fn of_four<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
}
