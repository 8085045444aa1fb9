//! Which Service has an address: asked of the API server where the roles of the cluster allow it, by the best way that it has.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::api::{End, RequestId};
use super::body::keep;
use super::interest::Memory;
use super::lookup_bounds::LookupRate;
use super::pauses;
use super::report::{Access, Problem};
use super::resource::encode;
use super::wire::{Page, is_about_an_object, parent, service_name};
use crate::address::ServiceName;
use crate::time::Now;

/// Addresses that are looked up, and those that were.
#[derive(Debug)]
pub(super) struct Lookups {
    way: Way,
    /// The end of a pause in which lookups are not possible.
    closed: Option<Now>,
    /// The first comes first, or a client could keep others from their turn.
    queue: VecDeque<IpAddr>,
    rate: LookupRate,
    under_way: BTreeMap<IpAddr, Lookup>,
    recent: Memory<IpAddr>,
}

/// How to look up, the best first: an object by its name costs the server 0.7 ms, a search through all Services 2.8 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    V1,
    V1beta1,
    /// A field selector, which old servers refuse.
    Field,
}

#[derive(Debug)]
struct Lookup {
    way: Way,
    asked: Option<(RequestId, Now)>,
    status: u16,
    body: Vec<u8>,
}

/// The outcome of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Continues,
    /// This request is over; another way is tried.
    Again,
    /// It is over.
    Found(Option<ServiceName>),
    Unauthorized,
    /// It is over, and so are all others for a while.
    Closed(Access, Problem),
}

impl Way {
    fn path(self, ip: IpAddr) -> String {
        let mut path: String = match self {
            Way::V1 => "/apis/networking.k8s.io/v1/ipaddresses/".into(),
            Way::V1beta1 => "/apis/networking.k8s.io/v1beta1/ipaddresses/".into(),
            Way::Field => "/api/v1/services?limit=1&fieldSelector=".into(),
        };
        match self {
            Way::V1 | Way::V1beta1 => encode(&ip.to_string(), &mut path),
            Way::Field => encode(&format!("spec.clusterIP={ip}"), &mut path),
        }
        path
    }

    fn next(self) -> Way {
        match self {
            Way::V1 => Way::V1beta1,
            Way::V1beta1 | Way::Field => Way::Field,
        }
    }
}

impl Lookups {
    pub(super) fn new() -> Lookups {
        Lookups {
            way: Way::V1,
            closed: None,
            queue: VecDeque::new(),
            rate: LookupRate::default(),
            under_way: BTreeMap::new(),
            recent: Memory::new(),
        }
    }

    /// Whether it is looked up now, or soon.
    pub(super) fn want(&mut self, ip: IpAddr, now: Now) -> bool {
        if self.closed.is_some_and(|until| until <= now) {
            (self.closed, self.way) = (None, Way::V1);
        }
        if self.under_way.contains_key(&ip) || self.queue.contains(&ip) {
            return true;
        }
        let taken = self.closed.is_none() && !self.recent.has(&ip, now) && self.queue.len() < QUEUE_MAX;
        if taken {
            self.queue.push_back(ip);
        }
        taken
    }

    /// It was looked up: whatever is known of it now, there is no more to be known for a while.
    pub(super) fn remember(&mut self, ip: IpAddr, now: Now) {
        self.recent.keep(ip, pauses::after(now, AGAIN), now);
    }

    /// The next that is to be asked for, and how.
    pub(super) fn next(&mut self, now: Now) -> Option<(IpAddr, String)> {
        if self.can_begin()
            && self.rate.take(now)
            && let Some(ip) = self.queue.pop_front()
        {
            self.under_way.insert(ip, Lookup { way: self.way, asked: None, status: 0, body: Vec::new() });
        }
        let waits = |(_, lookup): &(&IpAddr, &Lookup)| lookup.asked.is_none();
        self.under_way.iter().find(waits).map(|(ip, lookup)| (*ip, lookup.way.path(*ip)))
    }

    pub(super) fn sent(&mut self, ip: IpAddr, id: RequestId, now: Now) {
        if let Some(lookup) = self.under_way.get_mut(&ip) {
            lookup.asked = Some((id, pauses::after(now, LATE)));
        }
    }

    pub(super) fn head(&mut self, ip: IpAddr, status: u16, now: Now) -> Step {
        let Some(lookup) = self.under_way.get_mut(&ip) else { return Step::Continues };
        lookup.status = status;
        match (status, lookup.way) {
            (200, _) | (404, Way::V1 | Way::V1beta1) => Step::Continues,
            (401, _) => Step::Unauthorized,
            (400 | 403, Way::V1 | Way::V1beta1) => self.again(ip, Way::Field),
            (400 | 403 | 404, Way::Field) => {
                self.under_way.remove(&ip);
                self.closed = Some(pauses::after(now, AGAIN));
                let access = Access { verb: "list", resource: "services", namespace: None };
                Step::Closed(access, Problem::Status(status))
            }
            _ => self.fail(ip, now),
        }
    }

    pub(super) fn data(&mut self, ip: IpAddr, bytes: &[u8], now: Now) -> Step {
        let Some(lookup) = self.under_way.get_mut(&ip) else { return Step::Continues };
        match keep(&mut lookup.body, bytes, BODY_MAX) {
            Ok(()) => Step::Continues,
            Err(_) => self.fail(ip, now),
        }
    }

    pub(super) fn end(&mut self, ip: IpAddr, end: End, now: Now) -> Step {
        let Some(lookup) = self.under_way.get(&ip) else { return Step::Continues };
        let (way, body) = (lookup.way, lookup.body.as_slice());
        let found = match (end, way, lookup.status) {
            (End::Cut, _, _) => return self.fail(ip, now),
            (End::Whole, way, 404) => match is_about_an_object(body) {
                true => None,
                false => return self.again(ip, way.next()),
            },
            (End::Whole, Way::V1 | Way::V1beta1, _) => parent(body),
            (End::Whole, Way::Field, _) => match Page::read(body) {
                Ok(page) => page.items.first().and_then(|object| service_name(object)),
                Err(_) => return self.fail(ip, now),
            },
        };
        self.under_way.remove(&ip);
        if found.is_none() {
            self.remember(ip, now);
        }
        Step::Found(found)
    }

    /// Those that have no answer in time.
    pub(super) fn late(&mut self, now: Now) -> Vec<(IpAddr, RequestId)> {
        let late = |(ip, lookup): (&IpAddr, &Lookup)| {
            let (id, late) = lookup.asked?;
            (late <= now).then_some((*ip, id))
        };
        let late: Vec<_> = self.under_way.iter().filter_map(late).collect();
        late.iter().for_each(|(ip, _)| drop(self.fail(*ip, now)));
        late
    }

    /// Ends all lookups, and returns their addresses: the connection is gone, or lookups are not possible.
    pub(super) fn give_up(&mut self) -> Vec<IpAddr> {
        let under_way = core::mem::take(&mut self.under_way);
        core::mem::take(&mut self.queue).into_iter().chain(under_way.into_keys()).collect()
    }

    pub(super) fn wake(&self) -> Option<Now> {
        let late = self.under_way.values().filter_map(|lookup| lookup.asked).map(|(_, late)| late);
        late.chain(self.can_begin().then(|| self.rate.next())).min()
    }

    fn can_begin(&self) -> bool {
        self.under_way.len() < UNDER_WAY_MAX && !self.queue.is_empty()
    }

    /// By another way, and so from now on.
    fn again(&mut self, ip: IpAddr, way: Way) -> Step {
        self.way = way;
        self.under_way.insert(ip, Lookup { way, asked: None, status: 0, body: Vec::new() });
        Step::Again
    }

    fn fail(&mut self, ip: IpAddr, now: Now) -> Step {
        self.under_way.remove(&ip);
        self.recent.keep(ip, pauses::after(now, FAILED), now);
        Step::Found(None)
    }
}

/// At once. The rest of a pod's new addresses waits for its turn.
const UNDER_WAY_MAX: usize = 4;

/// 64 × 17 B, a minute's worth. With a full queue, the next connection to the address asks again.
const QUEUE_MAX: usize = 64;

/// How long an address is not looked up again, and how long all are not where it is not allowed. No longer than a Service without use is
/// kept: once that is let go, its address can be looked up.
const AGAIN: Duration = Duration::from_secs(600);

/// The same without an answer.
const FAILED: Duration = Duration::from_secs(10);

const LATE: Duration = Duration::from_secs(10);

/// One Service, of which etcd takes 1.5 MiB.
const BODY_MAX: usize = 2 << 20;
