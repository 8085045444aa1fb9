//! The routes of a worker: which there are by the snapshot in force, and what it keeps of their endpoints.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use svc_core::ack_timeout;
use svc_core::address::Transport;
use svc_core::discovery::kubernetes::{Want, may_be_cluster_ip};
use svc_core::port::{PortKey, port_key, target};
use svc_core::table::{Table, Target};

use super::application::Applications;
use super::route::{PortState, Route};
use crate::client::facts::LocalTarget;
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::upstream::registry::UpstreamRegistry;

/// The routes of a worker.
pub(crate) struct Router {
    pub(crate) config: Arc<Config>,
    pub(crate) table: Arc<ArcSwap<Table>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoints: UpstreamRegistry,
    routes: RefCell<HashMap<PortKey, Rc<Route>>>,
    versions: Cell<u64>,
    applications: Applications,
}

impl Router {
    pub(crate) fn new(
        config: Arc<Config>,
        table: Arc<ArcSwap<Table>>,
        metrics: Arc<Metrics>,
        shared: Arc<Shared>,
    ) -> Router {
        Router {
            config,
            table,
            shared,
            endpoints: UpstreamRegistry::new(metrics),
            routes: RefCell::default(),
            versions: Cell::new(0),
            applications: Applications::default(),
        }
    }

    /// The route to a Service port: the same one as long as the port stays as it is.
    pub(crate) fn route(&self, target: &Arc<Target>) -> Rc<Route> {
        let mut routes = self.routes.borrow_mut();
        let key = port_key(target);
        match routes.get_mut(&key) {
            Some(route) if Arc::ptr_eq(&route.target, target) => route.clone(),
            Some(route) => {
                let (port, version) = (route.port.clone(), self.next_version());
                *route = Rc::new(Route::new(target.clone(), port, version, clock::now()));
                route.clone()
            }
            None => {
                let port = PortState::new(&target.service, self.shared.port(&key));
                let route = Route::new(target.clone(), port, self.next_version(), clock::now());
                routes.entry(key).insert_entry(Rc::new(route)).get().clone()
            }
        }
    }

    /// The route to the application beside us.
    pub(crate) fn application(&self, local_target: LocalTarget) -> Rc<Route> {
        let declared = self.config.listeners.spoken_at(local_target.at.port());
        let new = |target| Rc::new(Route::inbound(local_target, target, declared, clock::now()));
        self.applications.route(local_target, &self.table.load(), new)
    }

    /// The route to the same port by the snapshot in force: what is tried again goes where new requests go. `None` when the port
    /// is gone.
    pub(crate) fn renewed(&self, route: &Rc<Route>) -> Option<Rc<Route>> {
        if route.inbound.is_some() {
            return Some(route.clone());
        }
        let table = self.table.load();
        target(&port_key(&route.target), &table).map(|target| self.route(target))
    }

    /// Has the API server asked which Service has an address that the table does not know. Nobody waits: later connections find it.
    pub(crate) fn look_up_address(&self, destination: SocketAddr) {
        let ip = destination.ip().to_canonical();
        if may_be_cluster_ip(ip, &self.config.discovery.service_cidrs) {
            let _nobody_waits = self.shared.api_wanted.ask(Want::Address(ip), NO_CLIENT);
        }
    }

    fn next_version(&self) -> u64 {
        self.versions.set(self.versions.get() + 1);
        self.versions.get()
    }

    /// Follows the snapshot in force: lets go of what belongs to ports that it no longer has, takes leave of endpoints that it
    /// does not let be used any more. What is under way goes on.
    pub(crate) fn follow(&self) {
        let table = self.table.load_full();
        self.routes.borrow_mut().retain(|key, _| target(key, &table).is_some());
        self.shared.prune(&table, clock::now());
        self.endpoints.follow(&table, clock::now());
        self.applications.follow();
    }

    /// Cuts connections to endpoints that have left for too long.
    pub(crate) fn drain(&self) {
        self.endpoints.drain(clock::now());
    }

    /// Cuts the connections to endpoints that acknowledge nothing any more.
    pub(crate) fn cut_silent(&self, tick: Duration) {
        let silence_max = ack_timeout::silence_max(self.config.deadlines.connect, tick);
        self.endpoints.cut_silent(silence_max);
        self.applications.cut_silent(silence_max);
    }

    /// Closes idle connections to endpoints that have been idle for too long, and tells which names have any.
    pub(crate) fn reap(&self) {
        self.applications.reap();
        let table = self.table.load();
        let upstreams = self.endpoints.members();
        let mut in_use = Vec::new();
        for upstream in upstreams.values() {
            upstream.reap();
            if upstream.was_used() {
                in_use.push(&upstream.of);
            }
        }
        let watched = |(service, port, transport): &(_, u16, Transport)| {
            Some(table.by_name(service)?.target(*transport, *port)?.watched.as_ref()?.service.clone())
        };
        self.shared.api_wanted.note_use(in_use.iter().filter_map(|of| watched(of)));
        self.shared.wanted.note_use(in_use.into_iter().filter_map(|(service, port, transport)| {
            let name = table.by_name(service)?.target(*transport, *port)?.name.clone()?;
            Some((name, *port))
        }));
    }
}

/// Holds the lookups of all addresses: in a full register they make room for each other, not in the place of what requests wait for.
const NO_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Surroundings};

    #[test]
    fn only_addresses_that_may_be_a_services_are_looked_up_and_at_nobodys_cost() {
        let flags = config::command().get_matches_from(["run", "--discovery", "env"]);
        let config = Arc::new(Config::read(&flags, &Surroundings::default()).unwrap());
        let shared = Arc::<Shared>::default();
        let router = Router::new(config, Arc::default(), Metrics::new(), shared.clone());
        shared.api_wanted.attend();
        for destination in ["93.184.215.14:443", "[::ffff:10.96.1.7]:80", "127.0.0.1:80", "[2606:4700::1]:53"]
        {
            router.look_up_address(destination.parse().unwrap());
        }
        let (asked, _) = shared.api_wanted.take_asked();
        assert_eq!(asked, [(Want::Address([10, 96, 1, 7].into()), NO_CLIENT)]);
    }
}
