//! HTTP on a client's connection: hyper owns the framing, each request is an exchange.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use svc_core::outcome::Failure;

use super::client_body::ClientBody;
use super::coalesce::coalesce;
use super::flood::{Flood, Streams};
use super::forward::{exchange, exchange_of_stream};
use super::http1_body::Http1Body;
use super::io::ClientIo;
use super::mesh::Mesh;
use super::resolve::Origin;
use super::roster::{Graceful, Membership, supervise};
use super::spawn::Local;

/// The most bytes in a head. 10_000 connections × 64 KiB = 640 MiB if every client filled its own, which the header deadline
/// gives them 10 s to do.
pub(crate) const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// How much of a stream its receiver may have to hold. With one connection's worth of [`STREAMS_MAX`] at
/// most [`CONNECTION_WINDOW_BYTES`] wait for a slow side.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// How much of all streams of a connection may wait here for its slow side.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Streams that one client may have open on one connection; what Envoy and nginx allow at most by default.
const STREAMS_MAX: u32 = 128;

/// A client that is silent for this long is asked (PING), and given up after as long again.
const PING_AFTER: Duration = Duration::from_secs(60);

/// Serves HTTP/1.1 until the client leaves, the connection is overdue, or it has drained.
pub(crate) async fn serve_http1(
    io: ClientIo,
    origin: Rc<Origin>,
    mesh: &Rc<Mesh>,
    membership: &Membership<'_>,
) -> Result<(), Failure> {
    let exchanges = {
        let mesh = mesh.clone();
        service_fn(move |request: Request<Incoming>| {
            if let Some(pulse) = &origin.pulse {
                pulse.asked(!request.body().is_end_stream());
                if request.version() == Version::HTTP_10 {
                    pulse.end_answers();
                }
            }
            exchange(request.map(ClientBody::Http1), origin.clone(), mesh.clone(), Http1Body::new)
        })
    };
    let connection = http1::Builder::new()
        .half_close(true) // who has said its last still hears
        .auto_date_header(false) // an answer carries its origin's date or none
        .max_header_size(HEADER_BYTES_MAX as usize)
        .max_buf_size(HEADER_BYTES_MAX as usize)
        .serve_connection(TokioIo::new(io), exchanges)
        .with_upgrades();
    settle(supervise(pin!(connection), membership, |_| {}).await, mesh)
}

/// Serves HTTP/2 likewise; each stream is a task of this worker.
pub(crate) async fn serve_http2(
    io: ClientIo,
    mut origin: Origin,
    mesh: &Rc<Mesh>,
    membership: &Membership<'_>,
) -> Result<(), Failure> {
    origin.streams = Some(Streams::of(membership.remote()));
    let exchanges = {
        let (origin, mesh) = (Rc::new(origin), mesh.clone());
        // Boxed: a stream goes through many hands until its task begins, and keeps the place of its exchange until the body has ended.
        service_fn(move |request: Request<Incoming>| {
            let request = request.map(ClientBody::Http1);
            Box::pin(exchange_of_stream(request, origin.clone(), mesh.clone()))
        })
    };
    let (io, flusher) = coalesce(io);
    let connection = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .enable_connect_protocol()
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_AFTER)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .serve_connection(TokioIo::new(io), exchanges);
    settle(supervise(pin!(connection), membership, |cx| flusher.flush(cx)).await, mesh)
}

/// What the end of a connection means. Failures of requests have their own accounts; here only what no request has seen counts.
fn settle(ended: Result<Result<(), hyper::Error>, Failure>, mesh: &Mesh) -> Result<(), Failure> {
    let flood = match &ended {
        Ok(Err(error)) => Flood::behind(error),
        Err(Failure::HeaderTimeout) => Some(Flood::SlowHead),
        Err(Failure::Flooded) => Some(Flood::Resets),
        Ok(Ok(())) | Err(_) => None,
    };
    flood.into_iter().for_each(|flood| mesh.metrics.flooded(flood));
    match ended {
        Ok(Err(error)) if error.is_parse() => Err(Failure::BadRequest),
        Ok(Err(_)) if flood.is_some() => Err(Failure::Flooded),
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

impl<I, B, S, E> Graceful for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
