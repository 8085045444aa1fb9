//! The end of the process: connections are waited for, then threads.

use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::clock::{sleep, timeout};
use crate::config::Drain;
use crate::lifecycle::Stage;
use crate::shared::Shared;

/// Waits until every client connection has come to its end, or the time for that is over.
///
/// Not ready first; after the delay, in which the world takes note of that, connections are asked to finish. New ones are carried
/// to the very end: the application may still have calls to make.
pub(super) async fn drain(limits: &Drain, stage: &watch::Sender<Stage>, shared: &Shared) {
    let draining = async {
        sleep(limits.delay).await;
        info!(connections = shared.connections.load(Relaxed), "asking open connections to finish");
        stage.send_replace(Stage::Draining);
        while shared.connections.load(Relaxed) > 0 {
            sleep(DRAIN_LOOK).await;
        }
    };
    if timeout(limits.timeout, draining).await.is_err() {
        warn!(connections = shared.connections.load(Relaxed), "drain time is over: open connections are cut");
    }
}

const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Waits until all of `threads` have ended, or for `limit`: one that hangs ends with the process.
pub(super) async fn join(threads: Vec<JoinHandle<()>>, limit: Duration) {
    let ended = async {
        while !threads.iter().all(JoinHandle::is_finished) {
            sleep(JOIN_LOOK).await;
        }
    };
    let _ = timeout(limit, ended).await;
}

const JOIN_LOOK: Duration = Duration::from_millis(2);

/// To let go of 10,000 connections takes some tens of milliseconds.
pub(super) const WORKERS_END_MAX: Duration = Duration::from_millis(500);

/// Long beside what a reader of stdout takes that reads.
pub(super) const LAST_LINES_MAX: Duration = Duration::from_millis(250);
