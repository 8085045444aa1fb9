//! A connection whose bytes are not ours to read, from the choice of its endpoint to its record.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use svc_core::balance::Caller;
use svc_core::outcome::Failure;

use super::account::Account;
use super::attempts::Candidates;
use super::relay::{FailedSide, Prebuffered, RelayedBytes, relay};
use crate::client::facts::ClientInfo;
use crate::client::io::ClientIo;
use crate::client::tracker::{Graceful, supervise};
use crate::clock;
use crate::context::WorkerContext;
use crate::http::pulse::{ConnDeadlines, Pulse};
use crate::metrics::Closed;
use crate::net::tls_client::Payload;
use crate::routing::resolve::settled;
use crate::routing::route::Route;
use crate::upstream::UpstreamIo;
use crate::upstream::conn_table::ConnHandle;

/// Opens a connection to an endpoint of `route`: one that refuses, or does not answer in time, is passed over at once (S-07). It is told of the client where its Service asks.
pub(crate) async fn dial(
    route: &Rc<Route>,
    payload: Payload,
    caller: Caller,
    client_info: &ClientInfo,
    context: &WorkerContext,
    account: &mut Account,
) -> Result<UpstreamIo, Failure> {
    account.serves(&route.port.label);
    let (route, _waited) = settled(route.clone(), client_info.arrival.client, &context.router).await?;
    let mut candidates = Candidates::new(&route, caller, clock::now(), context);
    loop {
        let upstream = candidates.next(true, None, account)?;
        let outbound_header = candidates.outbound_header(|| client_info.clone());
        match upstream.open_for(payload, outbound_header.as_ref(), &context.dialer).await {
            Ok(io) => {
                account.connected();
                return Ok(io);
            }
            Err(failure) => candidates.failed(failure, false)?,
        }
    }
}

/// Carries bytes both ways until both sides have ended, one fails, or nothing moves for the idle time.
///
/// Only where both sides have ended do both hear of an end; all else that ends a tunnel, the end of this process included, is a reset.
pub(crate) async fn carry(
    mut client: ClientIo,
    mut upstream: UpstreamIo,
    prebuffered: Prebuffered,
    mut account: Account,
    context: &WorkerContext,
) {
    client.stream.break_when_dropped();
    upstream.break_when_dropped();
    let (pulse, idle) = (client.pulse.clone(), client.idle.or(context.config.deadlines.idle_tcp));
    client.admission.holder.request_is_over(); // of the one that asked for a tunnel
    let ended = {
        let note = |moved: RelayedBytes| {
            account.to_upstream_bytes = moved.to_upstream_bytes;
            account.to_client_bytes = moved.to_client_bytes;
            account.moved();
            if moved.half_closed {
                account.half_closed();
            }
        };
        let relaying = pin!(relay(&mut client.stream, &upstream.stream, prebuffered, &pulse, note));
        keep(relaying, &pulse, idle, upstream.line(), context).await
    };
    match ended {
        Ok(Ok(())) => {
            client.ended = true;
            client.stream.end_when_dropped();
            upstream.end_when_dropped();
            account.done();
        }
        Ok(Err((FailedSide::Client, error))) if is_check(&account, &error) => account.done(),
        Ok(Err((FailedSide::Client, _))) => account.failed(Failure::ClientGone),
        Ok(Err((FailedSide::Upstream, error))) => {
            upstream.closed = Closed::Failed;
            let is_silent = error.kind() == io::ErrorKind::TimedOut;
            account.failed(if is_silent { Failure::Unacknowledged } else { Failure::Truncated });
        }
        Err(ended) => account.failed(ended),
    }
}

/// Whether a client that broke the connection never meant to use it: health checks that end by a reset say nothing before (HAProxy's do).
fn is_check(account: &Account, error: &io::Error) -> bool {
    account.to_upstream_bytes == 0 && error.kind() == io::ErrorKind::ConnectionReset
}

/// Keeps a tunnel on the roster until `relaying` ends, nothing has moved for the idle time, or its line to the endpoint is cut.
pub(crate) async fn keep<F: Future>(
    relaying: Pin<&mut F>,
    pulse: &Arc<Pulse>,
    idle: Option<Duration>,
    line: &ConnHandle,
    context: &WorkerContext,
) -> Result<F::Output, Failure> {
    pulse.busy();
    let idle = idle.unwrap_or_default();
    let connection_guard = context.clients.tracker.enter(pulse.clone(), ConnDeadlines { header: idle, idle });
    supervise(pin!(Joined { relaying, line }), &connection_guard, |_| {}).await.flatten()
}

/// Opaque bytes have no way to say that they should come to an end: a drain waits for them, until its deadline.
struct Joined<'a, F> {
    relaying: Pin<&'a mut F>,
    line: &'a ConnHandle,
}

impl<F: Future> Future for Joined<'_, F> {
    type Output = Result<F::Output, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(because) = self.line.poll_cut(cx) {
            return Poll::Ready(Err(because));
        }
        self.relaying.as_mut().poll(cx).map(Ok)
    }
}

impl<F> Graceful for Joined<'_, F> {
    fn finish(self: Pin<&mut Self>) {}
}
