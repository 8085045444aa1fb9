//! The endpoints that a worker has met: those that may be used, and those that have left and are still connected.

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use svc_core::address::EndpointAddr;
use svc_core::endpoints::EndpointId;
use svc_core::port::target;
use svc_core::rewrite::Manner;
use svc_core::table::Table;
use svc_core::time::Now;

use super::Upstream;

/// What a worker keeps of endpoints.
#[derive(Default)]
pub(crate) struct Upstreams {
    members: RefCell<HashMap<EndpointId, Rc<Upstream>>>,
    /// Nothing new goes to these. Each has a connection at least, which is their bound.
    left: RefCell<Vec<(EndpointId, Rc<Upstream>)>>,
}

impl Upstreams {
    /// What is kept of an endpoint that the snapshot in force has, and that is spoken to so; `new` when that is nothing yet.
    pub(crate) fn of(
        &self,
        id: EndpointId,
        manner: Option<&Arc<Manner>>,
        new: impl FnOnce() -> Rc<Upstream>,
    ) -> Rc<Upstream> {
        match self.members.borrow_mut().entry(id) {
            Entry::Vacant(vacant) => vacant.insert(new()).clone(),
            Entry::Occupied(known) if known.get().is_spoken_to(manner) => known.get().clone(),
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
    let is_spoken_to = target.is_some_and(|target| upstream.is_spoken_to(target.manner.as_ref()));
    is_spoken_to && usable.is_some_and(|endpoint| endpoint.id == id)
}
