//! Where what happened is recorded: the metrics, and the access log.

use std::cell::Cell;
use std::sync::Arc;

use crate::access_log::AccessLog;
use crate::metrics::Metrics;

/// What a worker records to.
pub(crate) struct Recorder {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    ended: Cell<bool>,
}

impl Recorder {
    pub(crate) fn new(metrics: Arc<Metrics>, access_log: Option<AccessLog>) -> Recorder {
        Recorder { metrics, access_log, ended: Cell::new(false) }
    }

    /// From here on, what is still open is cut.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }
}
