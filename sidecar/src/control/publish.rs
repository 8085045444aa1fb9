//! Puts snapshots in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::inventory::{Change, Inventory};
use svc_core::table::{Source, Table};
use tokio::sync::watch;

use super::applied::{Teller, differences};
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;

/// The one writer of the table.
pub(crate) struct Publisher {
    inventory: Inventory,
    table: Arc<ArcSwap<Table>>,
    published: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    teller: Teller,
}

impl Publisher {
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>) -> Publisher {
        let inventory = Inventory::new(config.inventory());
        let table = Arc::new(ArcSwap::new(inventory.table()));
        Publisher { inventory, table, published: watch::Sender::new(0), metrics, teller: Teller::new() }
    }

    pub(crate) fn table(&self) -> Arc<ArcSwap<Table>> {
        self.table.clone()
    }

    /// Changes with each snapshot.
    pub(crate) fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Takes in what a source has learned, and tells whether anything changed. What changes nothing wakes nobody.
    pub(crate) fn apply(&mut self, source: Source, changes: Vec<Change>) -> bool {
        let Some(table) = self.inventory.apply(source, changes) else { return false };
        if tracing::enabled!(tracing::Level::INFO) {
            let applied = differences(&self.table.load(), &table);
            self.teller.tell(source, &applied, clock::now());
        }
        self.table.store(table);
        self.metrics.published();
        self.published.send_modify(|version| *version += 1);
        true
    }

    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}
