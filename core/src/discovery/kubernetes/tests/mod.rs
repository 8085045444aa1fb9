//! An API server by script.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::endpoints::Here;
use crate::inventory::{Change, SliceKey};
use crate::service::{Rules, Slice};

mod histories;
mod lookups;
mod outages;
mod scripts;
mod server;
mod storm;

/// The pod's address.
const OWN: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 7));

/// A source with a scripted connection.
struct World {
    kube: Kubernetes,
    now: Now,
    /// Requests that wait for an answer.
    open: BTreeMap<RequestId, String>,
    facts: Facts,
    settled: Vec<(Want, Outcome)>,
    reports: Vec<String>,
    /// How many batches of changes there were.
    batches: usize,
    connects: usize,
    is_connected: bool,
    wake: Option<Now>,
}

/// What the inventory knows.
#[derive(Debug, Default)]
struct Facts {
    services: BTreeMap<ServiceName, Arc<crate::service::Service>>,
    slices: BTreeMap<SliceKey, Arc<Slice>>,
    complete: BTreeSet<ServiceName>,
    here: Option<Here>,
}

impl Facts {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Service(name, Some(service)) => drop(self.services.insert(name, service)),
            Change::Service(name, None) => drop(self.services.remove(&name)),
            Change::Slice(key, Some(slice)) => drop(self.slices.insert(key, slice)),
            Change::Slice(key, None) => drop(self.slices.remove(&key)),
            Change::Endpoints(name, true) => drop(self.complete.insert(name)),
            Change::Endpoints(name, false) => drop(self.complete.remove(&name)),
            Change::Here(here) => assert_eq!(self.here.replace(here), None),
            Change::Name(..) => unreachable!("an API server knows no DNS"),
        }
    }

    /// A Service as one line: `web`, `web: pending`, `web: 10.0.0.1 10.0.0.2`.
    fn lines(&self) -> Vec<String> {
        self.services.keys().map(|name| self.line(name)).collect()
    }

    fn line(&self, name: &ServiceName) -> String {
        let slices = self.slices.values().filter(|slice| slice.service == *name);
        let mut addresses: Vec<String> = slices
            .flat_map(|slice| slice.endpoints.iter().map(|endpoint| endpoint.address.to_string()))
            .collect();
        addresses.sort();
        let name_text = if &*name.namespace == "shop" { name.name.to_string() } else { name.to_string() };
        match self.complete.contains(name) {
            false => {
                assert_eq!(addresses.len(), 0, "{name}");
                format!("{name_text}: pending")
            }
            true => format!("{name_text}: {}", addresses.join(" ")).trim_end().to_string(),
        }
    }
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "resourceVersion": "5"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}})
}

fn slice(name: &str, of: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address], "nodeName": format!("node-{address}"), "zone": "z"}))
        .collect();
    json!({"metadata": {"name": name, "namespace": "shop", "resourceVersion": "5",
            "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}]})
}

fn named(name: &str) -> ServiceName {
    match name.split_once('/') {
        Some((namespace, name)) => ServiceName::new(namespace, name),
        None => ServiceName::new("shop", name),
    }
}

impl World {
    fn new() -> World {
        World::with(false)
    }

    fn with(wants_place: bool) -> World {
        let rules = Rules { default_namespace: "shop".into(), ..Rules::default() };
        let settings = Settings { namespace: "shop".into(), rules, wants_place };
        let mut world = World {
            kube: Kubernetes::new(settings, Draws::new(7)),
            now: Now(Duration::from_secs(1)),
            open: BTreeMap::new(),
            facts: Facts::default(),
            settled: Vec::new(),
            reports: Vec::new(),
            batches: 0,
            connects: 0,
            is_connected: false,
            wake: None,
        };
        world.poll();
        world
    }

    /// Connected, with these Services listed and watched, and slices of v1.
    fn of(services: &[Value]) -> World {
        let mut world = World::new();
        world.connect();
        world.answer_group("v1");
        world.list("/services?limit", services);
        world
    }

    fn poll(&mut self) {
        let out = self.kube.poll(self.now);
        for action in out.actions {
            match action {
                Action::Connect => self.connects += 1,
                Action::Disconnect => {
                    self.open.clear();
                    self.is_connected = false;
                }
                Action::Send { id, path, accept } => {
                    assert!(self.is_connected, "{path}");
                    assert_eq!(accept, "application/json");
                    assert_eq!(self.open.insert(id, path), None);
                }
                Action::Cancel(id) => drop(self.open.remove(&id)),
            }
        }
        self.batches += usize::from(!out.changes.is_empty());
        out.changes.into_iter().for_each(|change| self.facts.apply(change));
        self.settled.extend(out.settled);
        self.reports.extend(out.reports.iter().map(ToString::to_string));
        assert!(out.wake.is_none_or(|wake| wake > self.now));
        self.wake = out.wake;
    }

    fn connect(&mut self) {
        self.is_connected = true;
        self.kube.connected(OWN, self.now);
        self.poll();
    }

    fn lose(&mut self) {
        self.is_connected = false;
        self.open.clear();
        self.kube.disconnected("gone", self.now);
        self.poll();
    }

    /// Time passes, and every wake-up is kept.
    fn pass(&mut self, duration: Duration) {
        self.answer_watches();
        self.pass_silent(duration);
    }

    /// The same, and nobody answers.
    fn pass_silent(&mut self, duration: Duration) {
        let end = Now(self.now.0 + duration);
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = wake;
            self.poll();
        }
        self.now = end;
        self.poll();
    }

    /// A server lets one watch at once.
    fn answer_watches(&mut self) {
        let watches = self.open.iter().filter(|(_, path)| path.contains("watch=true"));
        watches.for_each(|(id, _)| self.kube.head(*id, 200, None, self.now));
        self.poll();
    }

    fn want(&mut self, service: &str) {
        self.kube.want(Want::Service(named(service)), self.now);
        self.poll();
    }

    #[track_caller]
    fn request(&self, part: &str) -> RequestId {
        if let Some((id, _)) = self.open.iter().find(|(_, path)| *path == part) {
            return *id;
        }
        let mut found = self.open.iter().filter(|(_, path)| path.contains(part));
        let Some((id, _)) = found.next() else { panic!("no {part} in {:?}", self.open) };
        assert_eq!(found.next(), None, "{part}");
        *id
    }

    fn asks(&self, part: &str) -> bool {
        self.open.values().any(|path| path.contains(part))
    }

    #[track_caller]
    fn answer(&mut self, part: &str, status: u16, body: &Value) {
        let id = self.request(part);
        self.kube.head(id, status, None, self.now);
        self.kube.data(id, body.to_string().as_bytes(), self.now);
        self.open.remove(&id);
        self.kube.end(id, End::Whole, self.now);
        self.poll();
    }

    #[track_caller]
    fn refuse(&mut self, part: &str, status: u16) {
        self.answer(part, status, &json!({"kind": "Status", "code": status}));
    }

    fn answer_group(&mut self, version: &str) {
        self.answer("/apis/discovery.k8s.io", 200, &json!({"versions": [{"version": version}]}));
    }

    #[track_caller]
    fn list(&mut self, part: &str, items: &[Value]) {
        self.answer(
            part,
            200,
            &json!({"kind": "List", "metadata": {"resourceVersion": "10"}, "items": items}),
        );
    }

    /// A head with a wish.
    #[track_caller]
    fn put_off(&mut self, part: &str, status: u16, retry_after: u64) {
        let id = self.request(part);
        self.kube.head(id, status, Some(Duration::from_secs(retry_after)), self.now);
        self.poll();
    }

    /// How long it takes until this is asked for.
    #[track_caller]
    fn time_until(&mut self, part: &str) -> Duration {
        let start = self.now;
        while !self.asks(part) {
            assert!(self.now.since(start) < Duration::from_secs(120), "never: {part}");
            self.pass(Duration::from_millis(100));
        }
        self.now.since(start)
    }

    /// The watch ends, by itself or not.
    #[track_caller]
    fn end(&mut self, part: &str, end: End) {
        let id = self.request(part);
        self.kube.head(id, 200, None, self.now);
        self.open.remove(&id);
        self.kube.end(id, end, self.now);
        self.poll();
    }

    /// An event of the watch whose path has this in it.
    #[track_caller]
    fn event(&mut self, part: &str, kind: &str, object: &Value) {
        let id = self.request(part);
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.kube.head(id, 200, None, self.now);
        self.kube.data(id, line.as_bytes(), self.now);
        self.poll();
    }

    #[track_caller]
    fn knows(&self, lines: &[&str]) {
        assert_eq!(self.facts.lines(), lines);
    }

    fn settles(&mut self) -> Vec<(String, Outcome)> {
        let settled = core::mem::take(&mut self.settled);
        let text = |want| match want {
            Want::Service(name) => name.to_string(),
            Want::Address(ip) => ip.to_string(),
        };
        settled.into_iter().map(|(want, outcome)| (text(want), outcome)).collect()
    }
}
