//! One worker: a thread with its own runtime, listeners and upstream connections. It shares snapshots and counts, and locks nothing to
//! carry traffic.

pub(crate) mod accept;
mod connection;
pub(crate) mod plan;
mod vip_listeners;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use svc_core::capture::Privileges;
use svc_core::table::Table;
use tokio::runtime::LocalRuntime;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::clock;
use crate::config::Config;
use crate::context::WorkerContext;
use crate::lifecycle::Stage;
use crate::metrics::{Direction, Metrics};
use crate::net::listen::{listen, listen_transparently};
use crate::shared::Shared;
use crate::udp::{self, Relay};

use accept::accept;
use plan::ListenerKind;
use vip_listeners::VipListeners;

/// What a worker is given.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) config: Arc<Config>,
    pub(crate) table: Arc<ArcSwap<Table>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) shared: Arc<Shared>,
    /// The addresses to listen on, probed and with their ports.
    pub(crate) listeners: Vec<(SocketAddr, ListenerKind)>,
    /// Changes with each new snapshot.
    pub(crate) published: watch::Receiver<u64>,
    pub(crate) stage: watch::Receiver<Stage>,
}

/// Starts a worker; returns once it listens.
///
/// # Errors
/// An address that cannot be listened on, or a thread or runtime that cannot be had.
pub(crate) fn start(index: usize, job: Job) -> io::Result<JoinHandle<()>> {
    let (listening, listens) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || work(index, job, &listening))?;
    listens.recv().unwrap_or_else(|_| Err(io::Error::other("the worker ended before it listened")))?;
    Ok(thread)
}

fn work(index: usize, job: Job, listening: &std::sync::mpsc::Sender<io::Result<()>>) {
    let runtime =
        match tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()) {
            Ok(runtime) => runtime,
            Err(error) => return drop(listening.send(Err(error))),
        };
    runtime.block_on(live(index, job, listening));
    end(runtime);
}

async fn live(index: usize, mut job: Job, listening: &std::sync::mpsc::Sender<io::Result<()>>) {
    clock::tick();
    let seed = seed(index);
    let context = WorkerContext::new(job.config, job.table, job.metrics, job.access_log, job.shared, seed);
    let relay = match open_doors(&job.listeners, &job.stage, &context, seed) {
        Ok(relay) => relay,
        Err(error) => return drop(listening.send(Err(error))),
    };
    let mut vips = VipListeners::default();
    vips.follow(&context.router.table.load(), &context, &relay);
    let _ = listening.send(Ok(()));
    let mut ticks = crate::clock::interval(TICK);
    ticks.set_missed_tick_behavior(crate::clock::MissedTickBehavior::Delay);
    let mut rounds = 0_u64;
    loop {
        // Each arm only looks at what is there now: nothing is lost when another one wins.
        tokio::select! {
            _ = ticks.tick() => {
                clock::tick();
                context.clients.judge_memory();
                context.clients.reap();
                context.router.drain();
                context.router.cut_silent(TICK);
                rounds += 1;
                if rounds.is_multiple_of(UPSTREAMS_EVERY) {
                    context.router.reap();
                    relay.expire(clock::now());
                    context.shared.sweep_pins(clock::now());
                }
            }
            () = context.clients.holders.alarmed() => context.clients.judge_memory(),
            Ok(()) = job.published.changed() => {
                vips.follow(&context.router.table.load(), &context, &relay);
                context.router.follow();
            }
            Ok(()) = job.stage.changed() => match *job.stage.borrow_and_update() {
                Stage::Running => {}
                Stage::Draining => context.clients.tracker.drain(),
                Stage::Ended => {
                    relay.end();
                    return context.recorder.end();
                }
            },
            else => return,
        }
    }
}

/// Drops the tasks that are left, each of which writes its record.
fn end(runtime: LocalRuntime) {
    runtime.shutdown_background();
}

/// Listens at every door, and for datagrams where capture may bring them.
fn open_doors(
    listeners: &[(SocketAddr, ListenerKind)],
    stage: &watch::Receiver<Stage>,
    context: &Rc<WorkerContext>,
    seed: u64,
) -> io::Result<Rc<Relay>> {
    let relay = Relay::start(context, seed)?;
    for &(addr, listener_kind) in listeners {
        let listener = listen_at(addr, listener_kind)?;
        let closing = (listener_kind.direction() == Direction::Inbound).then(|| stage.clone());
        tokio::task::spawn_local(accept(listener, listener_kind, context.clone(), closing));
        if listener_kind == ListenerKind::Captured && context.config.privileges == Privileges::Transparent {
            let socket = udp::listen_captured(addr)?;
            tokio::task::spawn_local(relay.clone().serve_captured(socket)?);
        }
    }
    Ok(relay)
}

/// Listens where a door is.
fn listen_at(addr: SocketAddr, listener_kind: ListenerKind) -> io::Result<crate::net::TcpListener> {
    match listener_kind {
        ListenerKind::TakenOver => listen_transparently(addr),
        ListenerKind::Captured
        | ListenerKind::LoopbackVip(_)
        | ListenerKind::ForwardProxy
        | ListenerKind::Inbound
        | ListenerKind::Mapped(_) => listen(addr),
    }
}

/// A seed for the choices of one worker, from the system's own source of randomness.
fn seed(index: usize) -> u64 {
    use std::hash::BuildHasher;
    std::collections::hash_map::RandomState::new().hash_one(index)
}

/// The precision of deadlines: idle, header, drain.
const TICK: Duration = Duration::from_millis(250);

/// Idle upstream connections are looked at once a second, and so are some of the pins.
const UPSTREAMS_EVERY: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_draw_differently() {
        assert_ne!(seed(0), seed(0));
    }
}
