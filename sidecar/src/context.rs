//! What every connection of a worker needs.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::draws::Draws;
use svc_core::table::Table;

use crate::access_log::AccessLog;
use crate::client::clients::Clients;
use crate::config::Config;
use crate::http::interim::Interim;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::routing::router::Router;
use crate::shared::Shared;
use crate::upstream::dialer::Dialer;

/// What every connection of a worker needs. Nothing in it is shared with another thread but `shared`, the table and the metrics.
pub(crate) struct WorkerContext {
    pub(crate) config: Arc<Config>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clients: Clients,
    pub(crate) router: Router,
    pub(crate) dialer: Dialer,
    pub(crate) recorder: Recorder,
    /// Takes interim answers where no client can have them: they are counted.
    pub(crate) uncarried: Interim,
    draws: Rc<Draws>,
}

impl WorkerContext {
    pub(crate) fn new(
        config: Arc<Config>,
        table: Arc<ArcSwap<Table>>,
        metrics: Arc<Metrics>,
        access_log: Option<AccessLog>,
        shared: Arc<Shared>,
        seed: u64,
    ) -> Rc<WorkerContext> {
        let draws = Rc::new(Draws::new(seed));
        Rc::new(WorkerContext {
            clients: Clients::new(config.clone(), metrics.clone(), shared.clone()),
            router: Router::new(config.clone(), table.clone(), metrics.clone(), shared.clone()),
            dialer: Dialer::new(config.clone(), shared.clone(), table, draws.clone()),
            uncarried: Interim::Dropped(metrics.clone()),
            recorder: Recorder::new(metrics, access_log),
            config,
            shared,
            draws,
        })
    }

    /// The next draw of chance, from a seed that the worker had of the system.
    pub(crate) fn draw(&self) -> u64 {
        self.draws.draw()
    }
}
