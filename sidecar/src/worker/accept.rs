//! Listening sockets: one of each per worker, the kernel spreads the connections (`SO_REUSEPORT`).

use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::watch;

use super::connection::begin;
use super::plan::ListenerKind;
use crate::context::WorkerContext;
use crate::lifecycle::Stage;
use crate::net::TcpListener;
use crate::net::accept::accept_each;

/// Accepts until the task is dropped, or, with `closing`, until a drain begins; the connections go on without it.
///
/// What the kernel has completed by then is still taken in: to close the socket would reset it.
pub(crate) async fn accept(
    listener: TcpListener,
    listener_kind: ListenerKind,
    context: Rc<WorkerContext>,
    mut closing: Option<watch::Receiver<Stage>>,
) {
    let take = |stream, peer| begin(stream, peer, listener_kind, &context);
    let failed = |error: &io::Error| {
        context.recorder.metrics.accept_failures.fetch_add(1, Relaxed);
        tracing::warn!(%error, "cannot accept connections");
    };
    tokio::select! {
        biased;
        () = accept_each(listener, take, failed) => {}
        () = begins_to_drain(&mut closing) => {}
    }
}

async fn begins_to_drain(stage: &mut Option<watch::Receiver<Stage>>) {
    match stage {
        Some(stage) => drop(stage.wait_for(|stage| *stage >= Stage::Draining).await),
        None => std::future::pending().await,
    }
}
