//! What the sidecar tells about itself over HTTP: to the kubelet, to Prometheus, to `kubectl svc`, to whoever
//! is curious.
//!
//! It shares a thread with discovery and never one with traffic.

mod answer;
mod document;
mod host;
pub(crate) mod observed;
mod ready;
mod seats;
mod tags;
mod token;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use svc_core::endpoints::EndpointId;
use svc_core::inventory::Rejection;
use svc_core::table::Table;
use tokio::task::JoinSet;

use crate::clock::{sleep, timeout};
use crate::config::Effective;
use crate::metrics::format::Format;
use crate::net::accept::accept_each;
use crate::net::linger::Lingering;
use crate::net::{TcpListener, TcpStream};

use seats::{Seat, Seats};

pub use ready::Ready;
pub use tags::Tags;

/// All that the pages show.
pub struct Admin {
    /// `/readyz`
    pub ready: Arc<Ready>,
    /// `/services`
    pub table: Arc<ArcSwap<Table>>,
    /// `/services`, its last part
    pub rejections: Arc<ArcSwap<Vec<Rejection>>>,
    /// `/services`: who is out because it fails.
    pub ejected: Box<dyn Fn() -> BTreeSet<EndpointId> + Send + Sync>,
    /// `/services`: what was measured of it already; empty at first.
    pub tags: Tags,
    /// `/metrics`: renders the page.
    pub metrics: Box<dyn Fn(Format) -> String + Send + Sync>,
    /// `/config`
    pub settings: Effective,
    /// `/config`: where the sidecar really listens, by the flag that asked for it.
    pub bound: Arc<ArcSwap<BTreeMap<&'static str, Vec<SocketAddr>>>>,
    /// Holds what a peer that is not local must show to see `/config`. Read anew each time, because Secrets
    /// rotate.
    pub token_file: Option<PathBuf>,
}

/// Answers whoever connects, until it is dropped.
pub async fn serve(listeners: Vec<TcpListener>, admin: Admin) {
    let admin = Arc::new(admin);
    let seats = Arc::new(Seats::default());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, admin.clone(), seats.clone()));
    }
    sleep(SOURCES_DEADLINE).await;
    admin.ready.give_up_on_sources();
    std::future::pending().await
}

async fn accept(listener: TcpListener, admin: Arc<Admin>, seats: Arc<Seats>) {
    let mut connections = JoinSet::new();
    let take = |stream, peer: SocketAddr| {
        while connections.try_join_next().is_some() {} // forget those that have ended
        let Some(seat) = seats.take(peer.ip()) else { return };
        let admin = admin.clone();
        connections.spawn(async move {
            converse(stream, peer.ip(), &admin, &seat).await;
            drop(seat);
        });
    };
    let failed = |error: &io::Error| tracing::warn!(%error, "cannot accept an admin connection");
    accept_each(listener, take, failed).await;
}

/// One request and its answer: a peer that stays must not keep a seat, nor one whose seat somebody else needs more.
async fn converse(stream: TcpStream, peer: IpAddr, admin: &Admin, seat: &Seat) {
    let service = service_fn(async |request| {
        seat.speaks();
        Ok::<_, Infallible>(answer::answer(admin, peer, &request).await)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service);
    tokio::select! {
        ended = timeout(CONNECTION_DEADLINE, connection) => match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "admin connection failed"),
            Err(_) => tracing::debug!(%peer, "admin connection took too long"),
        },
        () = seat.lost() => tracing::debug!(%peer, "admin connection gave way to another peer's"),
    }
}

/// A peer has this long for a request's head.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// The longest answer is 240 MB (10,000 Services × 100 endpoints), which 4 MB/s carry in that time.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(60);

/// No request of ours is a tenth of that.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A pod must start during an API outage.
const SOURCES_DEADLINE: Duration = Duration::from_secs(5);
