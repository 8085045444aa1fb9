//! What a new snapshot has changed, told to people: a line for each Service, within bounds.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use svc_core::table::{Entry, Source, Table};
use svc_core::time::Now;

/// What happened to a Service, or to a name that only DNS knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// `namespace/name`, or the name alone where DNS knows it.
    service: String,
    what: ChangeKind,
    /// How many endpoints could be used before: those with different addresses, whatever their ports.
    endpoints_before: usize,
    /// How many can be now.
    endpoints_after: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeKind {
    Added,
    Changed,
    Removed,
}

impl ChangeKind {
    fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        }
    }
}

/// Every difference between two snapshots. Costs a look-up for each Service; those that no change touched are the same objects.
pub(crate) fn differences(before: &Table, after: &Table) -> Vec<Applied> {
    let mut found = Vec::new();
    for entry in after.entries() {
        match before.by_name(&entry.service.name) {
            None => found.push(Applied::of(entry, ChangeKind::Added, None, Some(entry))),
            Some(known) if Arc::ptr_eq(known, entry) || known == entry => {}
            Some(known) => found.push(Applied::of(entry, ChangeKind::Changed, Some(known), Some(entry))),
        }
    }
    let gone = before.entries().filter(|entry| after.by_name(&entry.service.name).is_none());
    found.extend(gone.map(|entry| Applied::of(entry, ChangeKind::Removed, Some(entry), None)));
    found.sort_unstable_by(|a, b| a.service.cmp(&b.service));
    found
}

impl Applied {
    fn of(
        entry: &Entry,
        what: ChangeKind,
        before: Option<&Arc<Entry>>,
        after: Option<&Arc<Entry>>,
    ) -> Applied {
        let name = &entry.service.name;
        let service = if name.namespace.is_empty() { name.name.to_string() } else { name.to_string() };
        let endpoints = |entry: Option<&Arc<Entry>>| entry.map_or(0, |entry| usable(entry));
        Applied { service, what, endpoints_before: endpoints(before), endpoints_after: endpoints(after) }
    }
}

fn usable(entry: &Entry) -> usize {
    let endpoints = entry.targets.iter().flat_map(|target| target.endpoints.usable());
    endpoints.map(|endpoint| endpoint.addr.0.ip()).collect::<BTreeSet<IpAddr>>().len()
}

/// Writes the lines. A rolling update is a few lines a second; what goes beyond the bound is summed up in one line.
#[derive(Debug)]
pub(crate) struct Teller {
    /// Lines that may be written now.
    allowed: u32,
    refilled: Now,
}

impl Teller {
    pub(crate) fn new() -> Teller {
        Teller { allowed: BURST_LINES, refilled: Now::default() }
    }

    /// Tells what a source has changed.
    pub(crate) fn tell(&mut self, source: Source, applied: &[Applied], now: Now) {
        let lines = self.take(applied.len(), now);
        let source = source.as_str();
        for Applied { service, what, endpoints_before, endpoints_after } in &applied[..lines] {
            let change = what.as_str();
            tracing::info!(source, service, change, endpoints_before, endpoints_after, "change applied");
        }
        let more = applied.len() - lines;
        if more > 0 && lines > 0 {
            tracing::info!(source, services = more, "more changes applied");
        }
    }

    /// How many of `wanted` lines may be written.
    fn take(&mut self, wanted: usize, now: Now) -> usize {
        let new = now.since(self.refilled).as_millis() / LINE_EVERY.as_millis();
        if new > 0 {
            self.allowed =
                u32::try_from(new).unwrap_or(u32::MAX).saturating_add(self.allowed).min(BURST_LINES);
            self.refilled = now;
        }
        let lines = wanted.min(self.allowed as usize);
        self.allowed -= lines as u32;
        lines
    }
}

/// A Service for each line of a large screen. 10,000 Services that are read at the start are these and one line more.
const BURST_LINES: u32 = 50;

/// Five lines a second, of some 150 bytes each: 65 MB a day at the very worst.
const LINE_EVERY: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use svc_core::inventory::{Inventory, Settings};
    use svc_core::service::Rules;

    use super::*;
    use crate::control::manifests;

    /// The tables of one inventory that reads one manifest after the other.
    fn tables(manifests: &[&str]) -> Vec<Arc<Table>> {
        let mut inventory = Inventory::new(Settings { sources: Source::ALL.to_vec(), ..Settings::default() });
        let read = |manifest: &&str| {
            let (changes, rejections) = manifests::read_text("test.yaml", manifest, &Rules::default());
            assert_eq!(rejections, []);
            let _unchanged = inventory.apply(Source::Manifests, changes);
            inventory.table()
        };
        manifests.iter().map(read).collect()
    }

    fn slice(addresses: &[&str]) -> String {
        let endpoints: String =
            addresses.iter().map(|address| format!("- addresses: [{address}]\n")).collect();
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{ name: web-1, namespace: shop, labels: {{ \
             kubernetes.io/service-name: web }} }}\naddressType: IPv4\nports: [{{ name: a, port: 80 }}, {{ name: b, port: 81 }}]\n\
             endpoints:\n{endpoints}"
        )
    }

    const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: shop }\nspec: { clusterIP: 10.96.0.1, \
                       ports: [{ name: a, port: 80 }, { name: b, port: 81 }] }\n---\n";

    #[test]
    fn a_change_says_what_happened_and_how_many_endpoints_there_were_and_are() {
        let (two, three) = (slice(&["10.1.0.1", "10.1.0.2"]), slice(&["10.1.0.1", "10.1.0.2", "10.1.0.3"]));
        let tables = tables(&[&two, &format!("{WEB}{two}"), &three]);
        let told = |before: usize, after: usize| {
            let found = differences(&tables[before], &tables[after]);
            let line = |one: &Applied| {
                let Applied { service, what, endpoints_before, endpoints_after } = one;
                format!("{service} {} {endpoints_before} -> {endpoints_after}", what.as_str())
            };
            found.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(told(0, 1), ["shop/web added 0 -> 2"]);
        assert_eq!(told(1, 2), ["shop/web changed 2 -> 3"]);
        assert_eq!(told(2, 0), ["shop/web removed 3 -> 0"]);
        assert_eq!(told(1, 1), [""; 0]);
    }

    #[test]
    fn lines_are_bounded_and_come_back_with_time() {
        let at = |ms| Now(Duration::from_millis(ms));
        let mut teller = Teller::new();
        assert_eq!(teller.take(10_000, at(0)), 50);
        assert_eq!(teller.take(1, at(100)), 0);
        assert_eq!(teller.take(9, at(1000)), 5);
        assert_eq!(teller.take(10_000, at(1_000_000)), 50);
    }
}
