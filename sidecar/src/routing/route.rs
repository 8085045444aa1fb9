//! The way to a Service port: its endpoints in one snapshot, and whose turn it is among them.

use std::cell::{OnceCell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::Version;
use hyper::header::DATE;
use hyper::http::response::Parts;
use svc_core::balance::{Ask, Choice, Member, Tried};
use svc_core::endpoints::EndpointId;
use svc_core::outcome::Failure;
use svc_core::port::{BalancerState, unavailable_reason};
use svc_core::protocol::ProtocolHint;
use svc_core::rewrite::hint;
use svc_core::service::{Policy, Service, Unit};
use svc_core::stats::Probe;
use svc_core::table::Target;
use svc_core::time::Now;

use super::affinity::{PinMemory, RouteAffinity};
use crate::client::facts::LocalTarget;
use crate::ports::shared_port::SharedPort;
use crate::upstream::Upstream;
use crate::upstream::registry::UpstreamRegistry;

/// One port of one Service in one snapshot, to one worker.
pub(crate) struct Route {
    pub(crate) target: Arc<Target>,
    pub(crate) port: Rc<PortState>,
    pub(crate) hint: ProtocolHint,
    /// Those that may be used.
    pub(crate) members: Box<[Member]>,
    /// Beside each member, what this worker keeps of it; found when it is first picked.
    upstreams: Box<[OnceCell<Rc<Upstream>>]>,
    /// Asked before whoever's turn it is, where the Service wants its clients to come back.
    affinity: Option<RouteAffinity>,
    /// Tells it from the same port's routes in other snapshots.
    pub(crate) version: u64,
    /// It leads to the application beside us, whatever the snapshot.
    pub(crate) inbound: Option<LocalTarget>,
}

/// What a worker keeps of a Service port across snapshots.
pub(crate) struct PortState {
    /// `namespace/name`, as labels have it; empty for a host that only DNS knows.
    pub(crate) label: Arc<str>,
    pub(crate) shared: Arc<SharedPort>,
    connections: RefCell<BalancerState>,
    requests: RefCell<BalancerState>,
}

impl PortState {
    pub(crate) fn new(service: &Service, shared: Arc<SharedPort>) -> Rc<PortState> {
        Rc::new(PortState {
            label: service.name.label(),
            shared,
            connections: RefCell::new(BalancerState::new(Policy::of(service, Unit::Connection))),
            requests: RefCell::new(BalancerState::new(Policy::of(service, Unit::Request))),
        })
    }

    fn turns(&self, unit: Unit) -> RefMut<'_, BalancerState> {
        match unit {
            Unit::Connection => self.connections.borrow_mut(),
            Unit::Request => self.requests.borrow_mut(),
        }
    }

    /// Begins anew where the Service has changed its mind.
    fn follow(&self, service: &Service) {
        for unit in [Unit::Connection, Unit::Request] {
            self.turns(unit).follow(Policy::of(service, unit));
        }
    }
}

impl Route {
    /// `version` is never 0, and no other route of the port has it.
    pub(crate) fn new(target: Arc<Target>, port: Rc<PortState>, version: u64, now: Now) -> Route {
        port.follow(&target.service);
        let members = port.shared.members(&target, now);
        let upstreams = members.iter().map(|_| OnceCell::new()).collect();
        let affinity = RouteAffinity::of(&target, &members, &port.shared);
        let hint = hint(&target.port, target.rewrite.as_deref());
        Route { target, port, hint, members, upstreams, affinity, version, inbound: None }
    }

    /// The route to the application behind `local_target`, which is the one endpoint of `target`.
    ///
    /// What it speaks there may be `declared`; else its Service says so.
    pub(crate) fn inbound(
        local_target: LocalTarget,
        target: Arc<Target>,
        declared: Option<ProtocolHint>,
        now: Now,
    ) -> Route {
        let port = PortState::new(&target.service, Arc::default());
        let route = Route::new(target, port, 1, now);
        Route { inbound: Some(local_target), hint: declared.unwrap_or(route.hint), ..route }
    }

    /// An endpoint has answered a request. What was found out of the port by that holds from then on: bytes that are no request are refused.
    ///
    /// Servers of other protocols answer a lost browser with a few words of HTTP/1.0 (MongoDB, ClickHouse); those of HTTP know the time
    /// (RFC 9110 §6.6.1).
    pub(crate) fn heard_http(&self, head: &Parts) {
        let speaks_http = &self.port.shared.speaks_http;
        if self.hint == ProtocolHint::Unknown
            && !speaks_http.load(Relaxed)
            && (head.version != Version::HTTP_10 || head.headers.contains_key(DATE))
        {
            speaks_http.store(true, Relaxed);
        }
    }

    /// Calls `each` with those that have been picked so far.
    pub(crate) fn each_upstream(&self, each: impl FnMut(&Rc<Upstream>)) {
        self.upstreams.iter().filter_map(OnceCell::get).for_each(each);
    }

    /// Whether there is an endpoint that has not been tried.
    pub(crate) fn has_more_than(&self, tried: &Tried) -> bool {
        self.members.iter().any(|member| !tried.contains(member.id))
    }

    /// The endpoint to try next; the failure of the last attempt when there is none left. `memory` is that of the client's connection
    /// where a request is to be routed; connections and flows are routed once, and have none.
    pub(crate) fn pick(
        &self,
        ask: &Ask<'_>,
        memory: Option<&PinMemory>,
        last: Option<Failure>,
        endpoints: &UpstreamRegistry,
        now: Now,
        draw: u64,
    ) -> Result<Picked<'_>, Failure> {
        let stats = &self.port.shared.stats;
        let unit = if memory.is_some() { Unit::Request } else { Unit::Connection };
        let choose = || self.port.turns(unit).choose((self.version, &self.members), ask, stats, now, draw);
        let choice = match &self.affinity {
            None => choose(),
            Some(affinity) => affinity.choose(&self.members, stats, ask, memory, choose, now),
        };
        let Choice { index, probe } =
            choice.ok_or_else(|| last.unwrap_or_else(|| unavailable_reason(&self.members, stats)))?;
        let member = &self.members[index];
        let upstream = self.upstreams[index].get_or_init(|| {
            let PortState { label, shared, .. } = &*self.port;
            endpoints.upstream(member, &self.target, label, shared, self.inbound)
        });
        Ok(Picked { id: member.id, place: index, upstream, probe })
    }
}

/// Whose turn it is.
pub(crate) struct Picked<'r> {
    pub(crate) id: EndpointId,
    /// Among the members.
    pub(crate) place: usize,
    pub(crate) upstream: &'r Rc<Upstream>,
    pub(crate) probe: Option<Probe>,
}
