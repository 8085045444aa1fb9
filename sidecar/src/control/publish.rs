//! Puts snapshots in force.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use svc_core::address::ServiceName;
use svc_core::inventory::{Change, Inventory, LoopbackVips, Settings};
use svc_core::table::{Entry, Source, Table};
use tokio::sync::watch;

use super::applied::{Teller, differences};
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::net::listen::ports_from;

/// A Service whose ports are served at others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MovedPorts {
    pub(crate) service: ServiceName,
    vip: IpAddr,
    /// Each with the port at which it is served.
    ports: Vec<(u16, u16)>,
    /// The first port that may be listened at.
    from: u16,
}

impl fmt::Display for MovedPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MovedPorts { service, vip, ports, from } = self;
        write!(f, "Service \"{service}\": ports below {from} cannot be listened at;")?;
        for (index, (port, proxy)) in ports.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} port {port} is served at {}", SocketAddr::new(*vip, *proxy))?;
        }
        Ok(())
    }
}

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
        let ports_from = match config.listeners.loopback_vips {
            LoopbackVips::Off => 0,
            LoopbackVips::On | LoopbackVips::Fixed(_) => ports_from(),
        };
        let inventory = Inventory::new(Settings { ports_from, ..config.inventory() });
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

    /// Services with ports at which this process may not listen, and where these are served instead.
    pub(crate) fn moved(&self) -> Vec<MovedPorts> {
        let from = self.inventory.settings().ports_from;
        let of_entry = |entry: &Arc<Entry>| {
            let (vip, name) = (entry.loopback_vip?, entry.service.name.clone());
            let skipped = entry.skipped_ports.iter().zip(&entry.proxy_ports);
            let moved = skipped.filter(|(port, _)| **port < from).map(|(port, proxy)| (*port, *proxy));
            let ports: Vec<(u16, u16)> = moved.collect();
            (!ports.is_empty()).then_some(MovedPorts { service: name, vip, ports, from })
        };
        match from {
            0 => Vec::new(),
            _ => self.table.load().entries().filter_map(of_entry).collect(),
        }
    }

    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}
