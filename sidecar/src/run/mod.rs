//! `sidecar run`, from its configuration to its end: discovery and admin on this thread, traffic on the workers'.

mod bind;
mod drain;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::access_log::AccessLog;
use crate::admin::observed::Observed;
use crate::admin::{self, Admin, Ready, Tags};
use crate::config::Config;
use crate::control::checks;
use crate::control::discovery::Discovery;
use crate::control::publish::Publisher;
use crate::error::RunError;
use crate::lifecycle::Stage;
use crate::metrics::Metrics;
use crate::net::transparent;
use crate::shared::Shared;
use crate::signals::{SignalMeaning, Signals};
use crate::worker::{self, Job};
use crate::{descriptors, memory_trim};

use bind::bind;
use drain::{LAST_LINES_MAX, WORKERS_END_MAX, drain, join};

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
    let mut process = Process::start(&config)?;
    signals.serving();
    info!("ready to carry traffic");

    serve(&mut process.discovery, &mut signals).await;
    info!("draining");
    process.ready.drain();
    tokio::select! {
        () = drain(&config.drain, &process.stage, &process.shared) => {}
        () = process.discovery.follow() => {}
        () = signals.end() => warn!("told twice to end: open connections are cut"),
    }
    process.end().await;
    info!("ended");
    Ok(())
}

/// What runs until the end.
struct Process {
    discovery: Discovery,
    ready: Arc<Ready>,
    shared: Arc<Shared>,
    stage: watch::Sender<Stage>,
    workers: Vec<JoinHandle<()>>,
    log_writer: Option<JoinHandle<()>>,
    /// The admin port, and checks of endpoints.
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Process {
    /// Reads the sources, binds the listeners, and starts the workers, in this order: no connection is taken before it can be routed.
    fn start(config: &Arc<Config>) -> Result<Process, RunError> {
        let metrics = Metrics::new();
        let ready = Arc::new(Ready::new(config.discovery.sources.iter().copied()));
        let publisher = Publisher::new(config, metrics.clone());
        let (table, published) = (publisher.table(), publisher.published());
        let shared = Arc::new(Shared::default());
        shared.memory.limit(config.limits.memory_max);
        let discovery = Discovery::start(config, publisher, ready.clone(), metrics.clone(), &shared)?;

        descriptors::raise_limit(config.limits.connections_max);
        let lacks = "cannot be transparent without the capability NET_ADMIN";
        transparent::check(config.privileges).map_err(RunError::because(lacks))?;
        let bound = bind(config)?;
        shared.bound.store(Arc::new(bound.all()));
        let (access_log, log_writer) = access_log(config, &metrics)?.unzip();
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
        let checks = checks::run(table.clone(), published, shared.clone(), config.privileges);
        let admin = Admin {
            ready: ready.clone(),
            table: table.clone(),
            rejections: discovery.rejections(),
            ejected: Box::new({
                let shared = shared.clone();
                move || shared.out()
            }),
            tags: Tags::default(),
            metrics: metrics.renderer(Observed { table: table.clone(), shared: shared.clone() }, table),
            settings: config.effective.clone(),
            bound: Arc::new(ArcSwap::from_pointee(bound.by_flag())),
            token_file: config.listeners.admin_token_file.clone(),
        };
        let tasks = [tokio::spawn(admin::serve(bound.admin, admin)), tokio::spawn(checks)];
        Ok(Process { discovery, ready, shared, stage, workers, log_writer, tasks })
    }

    /// Cuts what is still open, and waits for the threads: for each kind as long as it may take.
    async fn end(self) {
        self.stage.send_replace(Stage::Ended);
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        join(self.workers, WORKERS_END_MAX).await;
        join(self.log_writer.into_iter().collect(), LAST_LINES_MAX).await;
    }
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
