//! A worker's world: the snapshot, what it keeps of ports and endpoints, and what it shares with the others.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use svc_core::address::{ServiceName, Transport};
use svc_core::balance::Member;
use svc_core::draws::Draws;
use svc_core::port::{PortKey, port_key, target};
use svc_core::silence;
use svc_core::table::{Table, Target};

use crate::access_log::AccessLog;
use crate::client::clients::Admission;
use crate::client::facts::Doorway;
use crate::client::tracker::Roster;
use crate::clock;
use crate::config::Config;
use crate::http::interim::Interim;
use crate::memory::Holders;
use crate::metrics::floods::Flood;
use crate::metrics::{Direction, Metrics, SeriesKey};
use crate::routing::application::Applications;
use crate::routing::route::{PortState, Route};
use crate::shared::Shared;
use crate::upstream::registry::Upstreams;
use crate::upstream::{Reach, Upstream};

/// What every connection of a worker needs. Nothing in it is shared with another thread but `shared`, `table` and `metrics`.
pub(crate) struct Mesh {
    pub(crate) config: Arc<Config>,
    pub(crate) table: Arc<ArcSwap<Table>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) roster: Roster,
    pub(crate) holders: Holders,
    pub(crate) shared: Arc<Shared>,
    /// Takes interim answers where no client can have them: they are counted.
    pub(crate) uncarried: Interim,
    routes: RefCell<HashMap<PortKey, Rc<Route>>>,
    versions: Cell<u64>,
    upstreams: Upstreams,
    applications: Applications,
    draws: Draws,
    ended: Cell<bool>,
}

impl Mesh {
    pub(crate) fn new(
        config: Arc<Config>,
        table: Arc<ArcSwap<Table>>,
        metrics: Arc<Metrics>,
        access_log: Option<AccessLog>,
        shared: Arc<Shared>,
        seed: u64,
    ) -> Rc<Mesh> {
        let uncarried = Interim::Dropped(metrics.clone());
        Rc::new(Mesh {
            uncarried,
            config,
            table,
            metrics,
            access_log,
            roster: Roster::default(),
            holders: Holders::new(shared.memory.clone()),
            shared,
            routes: RefCell::default(),
            versions: Cell::new(0),
            upstreams: Upstreams::default(),
            applications: Applications::default(),
            draws: Draws::new(seed),
            ended: Cell::new(false),
        })
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
    pub(crate) fn application(&self, doorway: Doorway) -> Rc<Route> {
        let declared = self.config.listeners.spoken_at(doorway.at.port());
        let new = |target| Rc::new(Route::inbound(doorway, target, declared, clock::now()));
        self.applications.route(doorway, &self.table.load(), new)
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

    fn next_version(&self) -> u64 {
        self.versions.set(self.versions.get() + 1);
        self.versions.get()
    }

    /// What this worker keeps of an endpoint.
    pub(crate) fn upstream(&self, member: &Member, route: &Route) -> Rc<Upstream> {
        match route.inbound {
            None => {
                let manner = route.target.manner.as_ref();
                let new = || Rc::new(self.new_upstream(member, route).spoken_to(manner));
                self.upstreams.of(member.id, manner, new)
            }
            Some(_) => Rc::new(self.new_upstream(member, route)), // the route keeps it
        }
    }

    fn new_upstream(&self, member: &Member, route: &Route) -> Upstream {
        let (target, service) = (&route.target, route.port.label.clone());
        // Whoever chooses a name chooses its addresses: they are no labels either. Nor are the ports that a scan tries.
        let endpoint = if service.is_empty() { Arc::default() } else { member.addr.to_string().into() };
        let direction = if route.inbound.is_some() { Direction::Inbound } else { Direction::Outbound };
        let series = self.metrics.series(SeriesKey { direction, service, endpoint });
        let (key, port) = (port_key(target), route.port.shared.clone());
        let upstream = Upstream::new(key, member.addr.0, series, port, member.vitals.clone());
        upstream.observe(true, Some(&target.service), clock::now());
        upstream.reached(Reach::of(route.inbound))
    }

    /// A destination that belongs to no Service. Its address is no label: clients choose it.
    pub(crate) fn stranger(&self, addr: SocketAddr) -> Rc<Upstream> {
        let nobody = ServiceName::new("", "");
        let direction = Direction::Outbound;
        let key = SeriesKey { direction, service: Arc::default(), endpoint: Arc::default() };
        let series = self.metrics.series(key);
        let key = (nobody, addr.port(), Transport::Tcp);
        Rc::new(Upstream::new(key, addr, series, Arc::default(), Arc::default()))
    }

    /// Follows the snapshot in force: lets go of what belongs to ports that it no longer has, takes leave of endpoints that it
    /// does not let be used any more. What is under way goes on.
    pub(crate) fn follow(&self) {
        let table = self.table.load_full();
        self.routes.borrow_mut().retain(|key, _| target(key, &table).is_some());
        self.shared.prune(&table, clock::now());
        self.upstreams.follow(&table, clock::now());
        self.applications.follow();
    }

    /// Cuts connections to endpoints that have left for too long.
    pub(crate) fn drain_upstreams(&self) {
        self.upstreams.drain(clock::now());
    }

    /// Cuts the connections to endpoints that acknowledge nothing any more.
    pub(crate) fn cut_silent(&self, tick: Duration) {
        let silence_max = silence::silence_max(self.config.deadlines.connect, tick);
        self.upstreams.cut_silent(silence_max);
        self.applications.cut_silent(silence_max);
    }

    /// Closes idle connections to endpoints that have been idle for too long, and tells which names have any.
    pub(crate) fn reap_upstreams(&self) {
        self.applications.reap();
        let table = self.table.load();
        let upstreams = self.upstreams.members();
        let mut in_use = Vec::new();
        for upstream in upstreams.values() {
            upstream.reap();
            if upstream.was_used() {
                in_use.push(&upstream.of);
            }
        }
        self.shared.wanted.note_use(in_use.into_iter().filter_map(|(service, port, transport)| {
            let name = table.by_name(service)?.target(*transport, *port)?.name.clone()?;
            Some((name, *port))
        }));
    }

    /// From here on, what is still open is cut.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether what is sent to `addr` would come back to us.
    pub(crate) fn is_own(&self, transport: Transport, addr: SocketAddr) -> bool {
        self.shared.is_own(transport, addr, &self.table.load())
    }

    /// The next draw of chance, from a seed that the worker had of the system.
    pub(crate) fn draw(&self) -> u64 {
        self.draws.draw()
    }

    /// Keeps the process below `--memory-max`.
    pub(crate) fn judge_memory(&self) {
        self.metrics.flooded_by(Flood::Memory, self.holders.judge().floods);
    }

    /// Ends the connections of clients that are overdue, and counts those that are slow.
    pub(crate) fn reap_clients(&self) {
        let slow = self.roster.reap();
        self.metrics.flooded_by(Flood::SlowRead, slow.reads);
        self.metrics.flooded_by(Flood::SlowBody, slow.bodies);
    }

    /// Admits one more client connection, unless `--max-connections` are open.
    pub(crate) fn admit(&self) -> Option<Admission> {
        let before = self.shared.connections.fetch_add(1, Relaxed);
        let admission = Admission { holder: self.holders.enter(), shared: self.shared.clone() };
        (before < self.config.limits.connections_max as u64).then_some(admission)
    }
}
