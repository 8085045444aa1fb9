//! Any answers of an API server, in any order: nothing panics, what is sent can be sent, and what is told holds together.
//!
//! An input is a script, a command a line; what is no command is left out:
//! `connect`, `lose`, `pass MILLISECONDS`, `want NAMESPACE/NAME`, `used NAMESPACE/NAME`, `address IP`, and of the open request with this number
//! (modulo how many there are) `head N STATUS [RETRY-AFTER]`, `data N TEXT`, `line N TEXT`, `end N`, `cut N`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use svc_core::address::ServiceName;
use svc_core::discovery::kubernetes::{Action, End, Kubernetes, RequestId, Settings, Want};
use svc_core::draws::Draws;
use svc_core::inventory::{Change, SliceKey};
use svc_core::service::Rules;
use svc_core::time::Now;

pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut world = World::new();
    for line in text.split('\n') {
        if world.command(line).is_some() {
            world.poll();
        }
    }
    // However it went: when the time comes, it goes on, and does not go in circles.
    for _ in 0..200 {
        let Some(wake) = world.wake else { break };
        world.now = wake;
        world.poll();
    }
}

struct World {
    kube: Kubernetes,
    now: Now,
    open: Vec<RequestId>,
    is_connected: bool,
    wants_connection: bool,
    waiting: u64,
    services: BTreeSet<ServiceName>,
    slices: BTreeMap<SliceKey, ServiceName>,
    complete: BTreeSet<ServiceName>,
    wake: Option<Now>,
}

impl World {
    fn new() -> World {
        let rules = Rules { default_namespace: "shop".into(), ..Rules::default() };
        let settings = Settings { namespace: "shop".into(), rules, wants_place: true };
        let mut world = World {
            kube: Kubernetes::new(settings, Draws::new(1)),
            now: Now(Duration::from_secs(1)),
            open: Vec::new(),
            is_connected: false,
            wants_connection: false,
            waiting: 0,
            services: BTreeSet::new(),
            slices: BTreeMap::new(),
            complete: BTreeSet::new(),
            wake: None,
        };
        world.poll();
        world
    }

    fn command(&mut self, line: &str) -> Option<()> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match command {
            "connect" if self.wants_connection => {
                (self.wants_connection, self.is_connected) = (false, true);
                self.kube.connected([10, 0, 0, 7].into(), self.now);
            }
            "lose" if self.wants_connection || self.is_connected => {
                (self.wants_connection, self.is_connected) = (false, false);
                self.open.clear();
                self.kube.disconnected("gone", self.now);
            }
            "pass" => {
                let pause = Duration::from_millis(first.parse::<u32>().ok()?.into());
                self.now = Now(self.now.0 + pause);
            }
            "want" => {
                let (namespace, name) = rest.split_once('/')?;
                self.waiting += 1;
                self.kube.want(Want::Service(ServiceName::new(namespace, name)), self.now);
            }
            "used" => {
                let (namespace, name) = rest.split_once('/')?;
                self.kube.used(&ServiceName::new(namespace, name), self.now);
            }
            "address" => {
                self.waiting += 1;
                self.kube.want(Want::Address(rest.parse().ok()?), self.now);
            }
            "head" => {
                let mut numbers = text.split(' ').map(str::parse);
                let status = numbers.next()?.ok()?;
                let retry_after = numbers
                    .next()
                    .and_then(Result::ok)
                    .map(|seconds| Duration::from_secs(u64::from(seconds)));
                let id = self.request(first)?;
                self.kube.head(id, status, retry_after, self.now);
            }
            "data" => {
                let id = self.request(first)?;
                self.kube.data(id, text.as_bytes(), self.now);
            }
            "line" => {
                let id = self.request(first)?;
                self.kube.data(id, text.as_bytes(), self.now);
                self.kube.data(id, b"\n", self.now);
            }
            "end" | "cut" => {
                let id = self.request(first)?;
                self.open.retain(|open| *open != id);
                self.kube.end(id, if command == "end" { End::Whole } else { End::Cut }, self.now);
            }
            _ => return None,
        }
        Some(())
    }

    fn request(&self, number: &str) -> Option<RequestId> {
        let number: usize = number.parse().ok()?;
        self.open.get(number.checked_rem(self.open.len())?).copied()
    }

    fn poll(&mut self) {
        let out = self.kube.poll(self.now);
        for action in out.actions {
            match action {
                Action::Connect => {
                    assert!(!self.is_connected && !self.wants_connection);
                    self.wants_connection = true;
                }
                Action::Disconnect => {
                    assert!(self.is_connected);
                    self.is_connected = false;
                    self.open.clear();
                }
                Action::Send { id, path, .. } => {
                    assert!(self.is_connected);
                    assert!(
                        path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()),
                        "{path}"
                    );
                    assert!(!self.open.contains(&id));
                    self.open.push(id);
                }
                Action::Cancel(id) => {
                    assert!(self.is_connected);
                    self.open.retain(|open| *open != id);
                }
            }
        }
        assert!(self.open.len() <= 100, "more requests than a server allows");
        for change in out.changes {
            match change {
                Change::Service(name, Some(service)) => {
                    assert_eq!(name, service.name);
                    self.services.insert(name);
                }
                Change::Service(name, None) => assert!(self.services.remove(&name), "{name} was told"),
                Change::Slice(key, Some(slice)) => drop(self.slices.insert(key, slice.service.clone())),
                Change::Slice(key, None) => assert!(self.slices.remove(&key).is_some(), "{key:?} was told"),
                Change::Endpoints(name, true) => assert!(self.complete.insert(name)),
                Change::Endpoints(name, false) => assert!(self.complete.remove(&name)),
                Change::Here(_) => {}
                Change::Name(..) => panic!("an API server knows no DNS"),
            }
        }
        // What has endpoints is complete, and what is complete is there.
        assert!(self.slices.values().all(|service| self.complete.contains(service)));
        assert!(self.complete.is_subset(&self.services));
        assert!(out.settled.len() as u64 <= 2 * self.waiting, "nobody is told twice");
        for report in &out.reports {
            assert!(!report.to_string().is_empty());
        }
        assert!(out.wake.is_none_or(|wake| wake > self.now), "it would be asked in circles");
        self.wake = out.wake;
    }
}
