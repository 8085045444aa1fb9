//! `sidecar run`, from its configuration to its end: discovery and admin on this thread, traffic on the workers'.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use svc_core::capture::Privileges;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::access_log::AccessLog;
use crate::admin::observed::Observed;
use crate::admin::{self, Admin, Ready, Tags};
use crate::config::{Config, Drain};
use crate::control::checks;
use crate::control::discovery::Discovery;
use crate::control::publish::Publisher;
use crate::descriptors;
use crate::error::RunError;
use crate::lifecycle::Stage;
use crate::memory_trim;
use crate::metrics::Metrics;
use crate::net::listen;
use crate::net::transparent;
use crate::shared::Shared;
use crate::signals::{SignalMeaning, Signals};
use crate::worker::plan::ListenerKind;
use crate::worker::{self, Job};

/// Runs until the process is told to end.
///
/// # Errors
/// What keeps it from starting: an address that cannot be listened on, manifests that cannot be reached.
pub fn run(config: Config) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(RunError::because("cannot start the control runtime"))?;
    let lived = runtime.block_on(live(Arc::new(config)));
    runtime.shutdown_background(); // what still waits for a disk is not waited for
    lived
}

async fn live(config: Arc<Config>) -> Result<(), RunError> {
    let mut signals =
        Signals::start(config.drain.timeout).map_err(RunError::because("cannot listen to signals"))?;
    let metrics = Metrics::new();
    let ready = Arc::new(Ready::new(config.discovery.sources.iter().copied()));
    let publisher = Publisher::new(&config, metrics.clone());
    let (table, published) = (publisher.table(), publisher.published());
    let shared = Arc::new(Shared::default());
    shared.memory.limit(config.limits.memory_max);
    let mut discovery = Discovery::start(&config, publisher, ready.clone(), metrics.clone(), &shared)?;

    descriptors::raise_limit(config.limits.connections_max);
    let lacks = "cannot be transparent without the capability NET_ADMIN";
    transparent::check(config.privileges).map_err(RunError::because(lacks))?;
    let bound = bind(&config)?;
    shared.bound.store(Arc::new(bound.all()));
    let (access_log, log_writer) = access_log(&config, &metrics)?.unzip();
    let stage = watch::Sender::new(Stage::Running);
    let job = Job {
        config: config.clone(),
        table: table.clone(),
        metrics: metrics.clone(),
        access_log,
        shared: shared.clone(),
        listeners: bound.listeners.clone(),
        published: published.clone(),
        stage: stage.subscribe(),
    };
    let workers = start_workers(job, config.limits.workers)?;
    ready.listeners_bound();

    tokio::spawn(memory_trim::give_back(shared.clone()));
    let checks = tokio::spawn(checks::run(table.clone(), published, shared.clone(), config.privileges));
    let observed = Observed { table: table.clone(), shared: shared.clone() };
    let admin = Admin {
        ready: ready.clone(),
        table: table.clone(),
        rejections: discovery.rejections(),
        ejected: Box::new({
            let shared = shared.clone();
            move || shared.out()
        }),
        tags: Tags::default(),
        metrics: metrics.renderer(observed, table),
        settings: config.effective.clone(),
        bound: Arc::new(ArcSwap::from_pointee(bound.by_flag())),
        token_file: config.listeners.admin_token_file.clone(),
    };
    let admin = tokio::spawn(admin::serve(bound.admin, admin));
    signals.serving();
    info!("ready to carry traffic");

    serve(&mut discovery, &mut signals).await;
    info!("draining");
    ready.drain();
    tokio::select! {
        () = drain(&config.drain, &stage, &shared) => {}
        () = discovery.follow() => {}
        () = signals.end() => warn!("told twice to end: open connections are cut"),
    }
    stage.send_replace(Stage::Ended);
    admin.abort();
    checks.abort();
    join(workers, WORKERS_END_MAX).await;
    join(log_writer.into_iter().collect(), LAST_LINES_MAX).await;
    info!("ended");
    Ok(())
}

/// Follows the sources until the process is told to end.
async fn serve(discovery: &mut Discovery, signals: &mut Signals) {
    loop {
        let told = tokio::select! {
            () = discovery.follow() => continue,
            told = signals.next() => told,
        };
        match told {
            SignalMeaning::Reload => {
                info!("reloading");
                discovery.reload();
            }
            SignalMeaning::End => return,
        }
    }
}

/// Waits until every client connection has come to its end, or the time for that is over.
///
/// Not ready first; after the delay, in which the world takes note of that, connections are asked to finish. New ones are carried
/// to the very end: the application may still have calls to make.
async fn drain(limits: &Drain, stage: &watch::Sender<Stage>, shared: &Shared) {
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
async fn join(threads: Vec<JoinHandle<()>>, limit: Duration) {
    let ended = async {
        while !threads.iter().all(JoinHandle::is_finished) {
            sleep(JOIN_LOOK).await;
        }
    };
    let _ = timeout(limit, ended).await;
}

const JOIN_LOOK: Duration = Duration::from_millis(2);

/// To let go of 10,000 connections takes some tens of milliseconds.
const WORKERS_END_MAX: Duration = Duration::from_millis(500);

/// Long beside what a reader of stdout takes that reads.
const LAST_LINES_MAX: Duration = Duration::from_millis(250);

fn start_workers(job: Job, count: usize) -> Result<Vec<JoinHandle<()>>, RunError> {
    let start = |index| {
        worker::start(index, job.clone()).map_err(RunError::because(format!("cannot start worker {index}")))
    };
    (0..count).map(start).collect()
}

fn access_log(config: &Config, metrics: &Metrics) -> Result<Option<(AccessLog, JoinHandle<()>)>, RunError> {
    let start = |format| AccessLog::start(format, io::stdout(), metrics.access_log_dropped.clone());
    config.logs.access.map(start).transpose().map_err(RunError::because("cannot start the access log"))
}

/// Every address this process listens on, loopback VIPs aside.
struct Bound {
    listeners: Vec<(SocketAddr, ListenerKind)>,
    admin: Vec<TcpListener>,
}

/// Takes the addresses that the configuration asks for.
fn bind(config: &Config) -> Result<Bound, RunError> {
    let wanted = &config.listeners;
    let mut listeners = Vec::new();
    let listed = [
        (&wanted.outbound, ListenerKind::Captured),
        (&wanted.inbound, inbound(config.privileges)),
        (&wanted.forward_proxy, ListenerKind::ForwardProxy),
    ];
    for (addrs, kind) in listed {
        listeners.extend(each(addrs, listen::probe)?.into_iter().map(|addr| (addr, kind)));
    }
    for mapping in &wanted.inbound_map {
        let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), mapping.port);
        let bound = each(&[everywhere], listen::probe)?;
        listeners.extend(bound.into_iter().map(|addr| (addr, ListenerKind::Mapped(mapping.application))));
    }
    let admin = each(&wanted.admin, |addr| listen::probe(addr).and_then(listen::listen))?;
    let bound = Bound { listeners, admin };
    for (flag, addrs) in bound.by_flag() {
        info!(flag, ?addrs, "listening");
    }
    Ok(bound)
}

/// How captured connections to the pod come.
fn inbound(privileges: Privileges) -> ListenerKind {
    match privileges {
        Privileges::None => ListenerKind::Inbound,
        Privileges::Transparent => ListenerKind::TakenOver,
    }
}

/// Binds each address. Where the system has no IPv6, all addresses are those of IPv4, and others of IPv6 are left out, with a warning.
fn each<T>(addrs: &[SocketAddr], bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<Vec<T>, RunError> {
    let mut bound = Vec::new();
    for &addr in addrs {
        let mut listening = bind(addr);
        if addr.is_ipv6() && addr.ip().is_unspecified() && listening.as_ref().is_err_and(lacks_ipv6) {
            listening = bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port()));
        }
        match listening {
            Ok(listener) => bound.push(listener),
            Err(error) if addr.is_ipv6() && lacks_ipv6(&error) => {
                warn!(%addr, %error, "no IPv6 here, not listening");
            }
            Err(error) => return Err(RunError::because(format!("cannot listen on `{addr}`"))(error)),
        }
    }
    Ok(bound)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

const FLAGS: [&str; 5] = ["admin", "forward-proxy", "inbound", "inbound-map", "outbound"];

impl Bound {
    fn by_flag(&self) -> BTreeMap<&'static str, Vec<SocketAddr>> {
        let mut by_flag = BTreeMap::from(FLAGS.map(|flag| (flag, Vec::new())));
        let admin = self.admin.iter().filter_map(|listener| Some(("admin", listener.local_addr().ok()?)));
        for (flag, addr) in
            self.listeners.iter().filter_map(|(addr, kind)| Some((kind.flag()?, *addr))).chain(admin)
        {
            by_flag.entry(flag).or_default().push(addr);
        }
        by_flag
    }

    fn all(&self) -> Vec<SocketAddr> {
        self.by_flag().into_values().flatten().collect()
    }
}
