//! The table of what watchers cost the API server.

use crate::objects::{SERVICES, USED};
use crate::server::Spent;
use crate::updates::UPDATES;
use crate::watchers::Way;

/// What so many watchers cost.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) way: Way,
    pub(crate) count: usize,
    /// How often so many were started.
    pub(crate) starts: usize,
    pub(crate) sync: Spent,
    pub(crate) sync_bytes: u64,
    pub(crate) updates: Spent,
    /// Changed slices, of each watcher that watched them.
    pub(crate) events: usize,
}

pub(crate) fn head() {
    println!(
        "\nof the API server, for each watcher; CPU per update and the peak of memory for all; 10 slices change in a second"
    );
    println!(
        "{:44} {:>8} {:>8} {:>12} {:>9} {:>9} {:>14} {:>9}",
        "", "watchers", "requests", "sync CPU ms", "sync kB", "B/update", "CPU ms/update", "peak MB"
    );
}

/// The updates without watchers.
pub(crate) fn alone(updates: &Spent) {
    println!("{:44} {:8} {:8} {:12} {:9} {:9} {:14.2}", "nobody", 0, "", "", "", "", per_update(updates));
}

impl Row {
    pub(crate) fn print(&self) {
        let Row { way, count, starts, sync, sync_bytes, updates, events } = self;
        let count_f = *count as f64;
        let all = (count * starts) as f64;
        let requests = sync.requests as f64 / all;
        let (cpu, kb) = (sync.cpu * 1000.0 / all, *sync_bytes as f64 / 1000.0 / count_f);
        let watched = match way {
            Way::Sidecar => USED as f64 / SERVICES as f64,
            Way::AllSlices | Way::AllSlicesInJson => 1.0,
        };
        let bytes = updates.bytes as f64 / *events as f64 * watched;
        let peak = updates.peak_kib * 1.024 / 1000.0;
        println!(
            "{way:44} {count:8} {requests:8.1} {cpu:12.1} {kb:9.1} {bytes:9.1} {:14.2} {peak:9.0}",
            per_update(updates)
        );
    }
}

/// Of the whole server.
fn per_update(updates: &Spent) -> f64 {
    updates.cpu * 1000.0 / UPDATES as f64
}
