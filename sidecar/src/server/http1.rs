//! HTTP/1 on a client's connection: hyper owns the framing, each request is an exchange.

use std::pin::Pin;
use std::rc::Rc;

use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use svc_core::outcome::Failure;

use crate::client::io::ClientIo;
use crate::client::tracker::{ConnectionGuard, Graceful, supervise};
use crate::context::WorkerContext;
use crate::exchange::forward::exchange;
use crate::exchange::http1_body::Http1Body;
use crate::http::client_body::ClientBody;
use crate::http::guard::Guarded;
use crate::http::limits::{HEADER_BYTES_MAX, HEADERS_MAX};
use crate::metrics::floods::Flood;
use crate::routing::resolve::ClientOrigin;

/// Serves HTTP/1.1 until the client leaves, the connection is overdue, or it has drained.
pub(crate) async fn serve_http1(
    io: ClientIo,
    origin: Rc<ClientOrigin>,
    context: &Rc<WorkerContext>,
    connection_guard: &ConnectionGuard<'_>,
) -> Result<(), Failure> {
    let pulse = io.pulse.clone();
    let io = Guarded::new(io, pulse);
    let exchanges = {
        let context = context.clone();
        service_fn(move |request: Request<Incoming>| {
            if let Some(pulse) = &origin.pulse {
                pulse.asked(!request.body().is_end_stream());
                pulse.turns.next();
                if request.version() == Version::HTTP_10 {
                    pulse.end_answers();
                }
            }
            exchange(request.map(ClientBody::Http1), origin.clone(), context.clone(), Http1Body::new)
        })
    };
    let mut connection = http1::Builder::new()
        .half_close(true) // who has said its last still hears
        .auto_date_header(false) // an answer carries its origin's date or none
        .max_header_size(HEADER_BYTES_MAX as usize)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX as usize)
        .serve_connection(TokioIo::new(io), exchanges)
        .with_upgrades();
    let ended = supervise(Pin::new(&mut connection), connection_guard, |_| {}).await;
    if ended.is_err()
        && let Some(parts) = connection.into_parts()
    {
        parts.io.into_inner().break_off();
    }
    settle(ended, context)
}

/// What the end of a connection means. Failures of requests have their own accounts; here only what no request has seen counts.
fn settle(ended: Result<Result<(), hyper::Error>, Failure>, context: &WorkerContext) -> Result<(), Failure> {
    let flood = match &ended {
        Err(Failure::HeaderTimeout) => Some(Flood::SlowHead),
        Err(Failure::Flooded) => Some(Flood::Resets),
        Ok(_) | Err(_) => None,
    };
    flood.into_iter().for_each(|flood| context.recorder.metrics.flooded(flood));
    match ended {
        Ok(Err(error)) if error.is_parse() => Err(Failure::BadRequest),
        Ok(Ok(()) | Err(_)) => Ok(()),
        Err(overdue) => Err(overdue),
    }
}

impl<I, B, S> Graceful for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
