//! Session affinity (S-10): the pins of a Service port's clients, and what a connection remembers of its client's.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use svc_core::affinity::Pin;
use svc_core::balance::{Ask, Choice, Member};
use svc_core::endpoints::EndpointId;
use svc_core::port;
use svc_core::stats::PortStats;
use svc_core::table::Target;
use svc_core::time::Now;

use crate::ports::pins::Pinned;
use crate::ports::shared_port::SharedPort;

/// The affinity of a Service port in one snapshot.
pub(crate) struct RouteAffinity {
    pinned: Arc<Pinned>,
    rule: port::Affinity,
}

/// The pin that a connection's last request used: most connections have one client and go to one Service port.
#[derive(Default)]
pub(crate) struct PinMemory(RefCell<Option<RememberedPin>>);

struct RememberedPin {
    client: IpAddr,
    of: Arc<Pinned>,
    pin: Pin,
}

impl RouteAffinity {
    /// `None` where the Service asks for none.
    pub(crate) fn of(target: &Arc<Target>, members: &[Member], port: &SharedPort) -> Option<RouteAffinity> {
        let rule = port::Affinity::of(target, members)?;
        Some(RouteAffinity { pinned: port.pinned(target), rule })
    }

    /// Where the client goes: to the endpoint that it is pinned to as long as that is for it, else where `choose` says.
    pub(crate) fn choose(
        &self,
        members: &[Member],
        port: &PortStats,
        ask: &Ask<'_>,
        memory: Option<&PinMemory>,
        choose: impl FnOnce() -> Option<Choice>,
        now: Now,
    ) -> Option<Choice> {
        let client = ask.caller.client;
        if let Some(memory) = memory
            && let Some(pinned) = memory.hold(client, self, now)
            && let Some(choice) = self.rule.stay(pinned, members, ask, port)
        {
            return Some(choice);
        }
        let (choice, pin) =
            self.rule.choose(&mut self.pinned.shard_of(client), members, ask, port, choose, now)?;
        if let Some(memory) = memory {
            memory.note(client, &self.pinned, pin);
        }
        Some(choice)
    }
}

impl PinMemory {
    /// Uses the pin of `client`, if it is remembered and stands. No lock: its time is an atomic that the table looks at too.
    fn hold(&self, client: IpAddr, affinity: &RouteAffinity, now: Now) -> Option<EndpointId> {
        let remembered = self.0.borrow();
        let RememberedPin { client: whose, of, pin } = remembered.as_ref()?;
        let stands =
            *whose == client && Arc::ptr_eq(of, &affinity.pinned) && pin.hold(affinity.rule.timeout(), now);
        stands.then(|| pin.endpoint())
    }

    fn note(&self, client: IpAddr, of: &Arc<Pinned>, pin: Pin) {
        self.0.replace(Some(RememberedPin { client, of: of.clone(), pin }));
    }
}
