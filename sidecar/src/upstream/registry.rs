//! The endpoints that a worker has met: those that may be used, and those that have left and are still connected.

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::{EndpointAddr, ServiceName, Transport};
use svc_core::balance::Member;
use svc_core::endpoints::EndpointId;
use svc_core::port::{port_key, target};
use svc_core::rewrite::RewriteRules;
use svc_core::table::{Table, Target};
use svc_core::time::Now;

use super::{ConnectTarget, Upstream};
use crate::client::facts::LocalTarget;
use crate::clock;
use crate::metrics::{Direction, Metrics, SeriesKey};
use crate::ports::shared_port::SharedPort;

/// What a worker keeps of endpoints.
pub(crate) struct UpstreamRegistry {
    metrics: Arc<Metrics>,
    members: RefCell<HashMap<EndpointId, Rc<Upstream>>>,
    /// Nothing new goes to these. Each has a connection at least, which is their bound.
    left: RefCell<Vec<(EndpointId, Rc<Upstream>)>>,
}

impl UpstreamRegistry {
    pub(crate) fn new(metrics: Arc<Metrics>) -> UpstreamRegistry {
        UpstreamRegistry { metrics, members: RefCell::default(), left: RefCell::default() }
    }

    /// What is kept of `member`, an endpoint of `target`; `label` is that of its Service. What leads to the application beside us
    /// (`inbound`) is kept by its route.
    pub(crate) fn upstream(
        &self,
        member: &Member,
        target: &Target,
        label: &Arc<str>,
        port: &Arc<SharedPort>,
        inbound: Option<LocalTarget>,
    ) -> Rc<Upstream> {
        let rewrite = target.rewrite.as_ref();
        let new = || self.new_upstream(member, target, label, port, inbound);
        match inbound {
            None => self.of(member.id, rewrite, || Rc::new(new().with_protocol(rewrite))),
            Some(_) => Rc::new(new()),
        }
    }

    fn new_upstream(
        &self,
        member: &Member,
        target: &Target,
        label: &Arc<str>,
        port: &Arc<SharedPort>,
        inbound: Option<LocalTarget>,
    ) -> Upstream {
        // Whoever chooses a name chooses its addresses: they are no labels either. Nor are the ports that a scan tries.
        let endpoint = if label.is_empty() { Arc::default() } else { member.addr.to_string().into() };
        let direction = if inbound.is_some() { Direction::Inbound } else { Direction::Outbound };
        let series = self.metrics.series(SeriesKey { direction, service: label.clone(), endpoint });
        let (addr, stats) = (member.addr.0, member.stats.clone());
        let upstream = Upstream::new(port_key(target), addr, series, port.clone(), stats);
        upstream.observe(true, Some(&target.service), clock::now());
        upstream.reached(ConnectTarget::of(inbound))
    }

    /// A destination that belongs to no Service. Its address is no label: clients choose it.
    pub(crate) fn passthrough(&self, addr: SocketAddr) -> Rc<Upstream> {
        let direction = Direction::Outbound;
        let key = SeriesKey { direction, service: Arc::default(), endpoint: Arc::default() };
        let series = self.metrics.series(key);
        let key = (ServiceName::new("", ""), addr.port(), Transport::Tcp);
        Rc::new(Upstream::new(key, addr, series, Arc::default(), Arc::default()))
    }

    /// What is kept of an endpoint that the snapshot in force has, and that is spoken to so; `new` when that is nothing yet.
    fn of(
        &self,
        id: EndpointId,
        rewrite: Option<&Arc<RewriteRules>>,
        new: impl FnOnce() -> Rc<Upstream>,
    ) -> Rc<Upstream> {
        match self.members.borrow_mut().entry(id) {
            Entry::Vacant(vacant) => vacant.insert(new()).clone(),
            Entry::Occupied(known) if known.get().has_protocol(rewrite) => known.get().clone(),
            Entry::Occupied(mut known) => {
                let old = known.insert(new());
                old.leave();
                self.left.borrow_mut().push((id, old));
                known.get().clone()
            }
        }
    }

    /// Takes leave of endpoints that may not be used any more, and takes back those that may again.
    /// Costs as much as this worker uses, whatever the size of the snapshot.
    pub(crate) fn follow(&self, table: &Table, now: Now) {
        let (mut members, mut left) = (self.members.borrow_mut(), self.left.borrow_mut());
        left.retain(|(id, upstream)| {
            let returns = is_member(*id, upstream, table, now) && !members.contains_key(id);
            if returns {
                upstream.come_back();
                members.insert(*id, upstream.clone());
            }
            !returns
        });
        members.retain(|id, upstream| {
            let stays = is_member(*id, upstream, table, now);
            if !stays {
                upstream.leave();
                left.push((*id, upstream.clone()));
            }
            stays
        });
    }

    /// Cuts what endpoints that have left for too long still have under way, and forgets those that have nothing.
    /// Costs nothing while all stay.
    pub(crate) fn drain(&self, now: Now) {
        self.left.borrow_mut().retain(|(_, upstream)| upstream.drain(now));
    }

    /// Cuts the connections on which an endpoint has been silent for too long.
    pub(crate) fn cut_silent(&self, silence_max: Duration) {
        let (members, left) = (self.members.borrow(), self.left.borrow());
        let all = members.values().chain(left.iter().map(|(_, upstream)| upstream));
        all.for_each(|upstream| upstream.cut_silent(silence_max));
    }

    /// Those that may be used.
    pub(crate) fn members(&self) -> Ref<'_, HashMap<EndpointId, Rc<Upstream>>> {
        self.members.borrow()
    }
}

/// Whether the snapshot lets this endpoint be used as it was met, which its departure is told. Another one at the same address ends its
/// departure too: who still answers there has not gone. But it is another one.
fn is_member(id: EndpointId, upstream: &Upstream, table: &Table, now: Now) -> bool {
    let target = target(&upstream.of, table);
    let usable = target.and_then(|target| target.endpoints.usable_at(EndpointAddr(upstream.addr)));
    upstream.observe(usable.is_some(), target.map(|target| &*target.service), now);
    let has_protocol = target.is_some_and(|target| upstream.has_protocol(target.rewrite.as_ref()));
    has_protocol && usable.is_some_and(|endpoint| endpoint.id == id)
}
