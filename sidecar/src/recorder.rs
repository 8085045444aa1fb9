//! Where what happened is recorded: the metrics, and the access log.

use std::cell::Cell;
use std::sync::Arc;

use crate::access_log::{AccessLog, LogRecord};
use crate::metrics::Metrics;

/// What a worker records to.
pub(crate) struct Recorder {
    pub(crate) metrics: Arc<Metrics>,
    access_log: Option<AccessLog>,
    ended: Cell<bool>,
}

impl Recorder {
    pub(crate) fn new(metrics: Arc<Metrics>, access_log: Option<AccessLog>) -> Recorder {
        Recorder { metrics, access_log, ended: Cell::new(false) }
    }

    /// Whether anybody takes records: what only they want need not be kept where nobody does.
    pub(crate) fn takes_records(&self) -> bool {
        self.access_log.is_some()
    }

    /// Writes a record of what has ended.
    pub(crate) fn record(&self, record: LogRecord) {
        if let Some(log) = &self.access_log {
            log.write(record);
        }
    }

    /// From here on, what is still open is cut.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }
}
