//! Discovery by the Kubernetes API, as a pure state machine (S-01 to S-06).
//!
//! Watched are the Services of the pod's namespace, the slices of Services in use, and Services of other namespaces on demand.
//! Inputs are the events of one connection ([`Kubernetes::connected`], [`Kubernetes::head`] and so on) and lookups
//! ([`Kubernetes::want`]); [`Kubernetes::poll`] returns requests to send and changes for the inventory.
//!
//! Known facts stay in force while the API server is unreachable. A Service whose endpoints are forbidden, or do not arrive in time,
//! is withdrawn until they arrive: other sources (the environment, DNS) decide meanwhile.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::address::ServiceName;
use crate::draws::Draws;
use crate::hash::HashMap;
use crate::inventory::Rejection;
use crate::time::Now;

mod answers;
mod api;
mod body;
mod choose;
mod complaints;
mod group;
mod interest;
mod known;
mod link;
mod lookup_bounds;
mod lookups;
mod pages;
mod pauses;
mod place_list;
mod report;
mod resource;
mod sending;
mod settle;
mod told;
mod watch;
mod watches;
mod wire;

#[cfg(test)]
mod tests;

pub use api::{Action, End, Outcome, Output, RequestId, Settings, Want};
pub use lookup_bounds::may_be_cluster_ip;
pub use report::{Access, Problem, Report};

use complaints::Complaints;
use group::Group;
use interest::{Interests, Memory};
use known::PlaceSearch;
use link::Link;
use lookups::Lookups;
use place_list::PlaceList;
use resource::is_label;
use told::Told;
use watch::Watch;
use watches::{WatchKey, Watches, What};

/// The state of discovery by the API server.
#[derive(Debug)]
pub struct Kubernetes {
    namespace: Arc<str>,
    draws: Draws,
    link: Link,
    last_id: u64,
    /// Requests under way, by the part that waits for the answer.
    asked: HashMap<RequestId, Asker>,
    watches: Watches,
    group: Group,
    interests: Interests,
    /// Services of other namespaces that are not there, or of which we may not know.
    absent: Memory<ServiceName>,
    /// Namespaces of which so much is in use that all of it is watched.
    whole: BTreeSet<Arc<str>>,
    /// Whether we may not know the slices of our own namespace.
    slices_refused: bool,
    /// Whether our own Services have been listed once, or failed once.
    synced: bool,
    lookups: Lookups,
    /// The addresses that were looked up, of Services that are waited for.
    addresses: BTreeMap<ServiceName, BTreeSet<IpAddr>>,
    place_list: PlaceList,
    told: Told,
    complaints: Complaints,
    out: Output,
}

#[derive(Clone, Debug)]
enum Asker {
    Watch(WatchKey),
    Group,
    Address(IpAddr),
    Place,
}

impl Kubernetes {
    /// Connects with the first [`Kubernetes::poll`]. `draws` spread the requests of those who start together.
    pub fn new(settings: Settings, draws: Draws) -> Kubernetes {
        let mut watches = Watches::new(settings.rules, PlaceSearch::new(settings.wants_place));
        watches.add(WatchKey::all(What::Services, &settings.namespace));
        Kubernetes {
            namespace: settings.namespace,
            draws,
            link: Link::new(),
            last_id: 0,
            asked: HashMap::default(),
            watches,
            group: Group::new(),
            interests: Interests::default(),
            absent: Memory::new(),
            whole: BTreeSet::new(),
            slices_refused: false,
            synced: false,
            lookups: Lookups::new(),
            addresses: BTreeMap::new(),
            place_list: PlaceList::new(),
            told: Told::default(),
            complaints: Complaints::default(),
            out: Output::default(),
        }
    }

    /// Starts a lookup. Its result is in [`Output::settled`], once for all callers: that of a Service within two seconds, that of an
    /// address when its turn has come.
    pub fn want(&mut self, want: Want, now: Now) {
        match want {
            Want::Service(service) => self.want_service(service, now),
            Want::Address(ip) => {
                if self.link.is_lost() || !self.lookups.want(ip, now) {
                    self.out.settled.push((want, Outcome::Unknown));
                }
            }
        }
    }

    /// Notes that a Service has connections.
    pub fn used(&mut self, service: &ServiceName, now: Now) {
        if can_be(service) && !self.absent.has(service, now) {
            self.interests.note(service, now);
        }
    }

    /// The connection that was to be opened is there. Its local address is the pod's, as slices have it.
    pub fn connected(&mut self, local: IpAddr, _: Now) {
        self.link.connected();
        self.watches.reader.place.address = Some(local);
    }

    /// It is gone, or could not be opened.
    pub fn disconnected(&mut self, reason: &str, now: Now) {
        if self.lose(now) {
            self.synced = true;
            self.complaints.lost(reason, &mut self.out.reports);
        }
    }

    /// The head of an answer; `retry_after` is what its header of that name says.
    pub fn head(&mut self, id: RequestId, status: u16, retry_after: Option<Duration>, now: Now) {
        if status < 200 {
            return; // another follows
        }
        let Some(asker) = self.asked.get(&id).cloned() else { return };
        if status != 401 && self.link.served() {
            self.complaints.reached(&mut self.out.reports);
        }
        match asker {
            Asker::Watch(key) => {
                let verb = self.watches.watch(&key).map_or("list", Watch::verb);
                if status == 200 && verb == "watch" {
                    self.works(&key, verb);
                }
                let draws = &self.draws;
                let step = self
                    .watches
                    .with(&key, |watch, objects| watch.head(status, retry_after, objects, now, draws));
                self.step(&key, verb, step, now);
            }
            Asker::Group => {
                let answer = self.group.head(status, now, &self.draws);
                self.group_answered(id, answer, now);
            }
            Asker::Address(ip) => {
                let step = self.lookups.head(ip, status, now);
                self.looked_up(id, ip, step, now);
            }
            Asker::Place => {
                let step = self.place_list.head(status, now, &self.draws);
                self.place_listed(id, step, now);
            }
        }
    }

    /// Some of an answer's body, in whatever pieces.
    pub fn data(&mut self, id: RequestId, bytes: &[u8], now: Now) {
        let Some(asker) = self.asked.get(&id).cloned() else { return };
        let draws = &self.draws;
        match asker {
            Asker::Watch(key) => {
                let verb = self.watches.watch(&key).map_or("list", Watch::verb);
                let step = self.watches.with(&key, |watch, objects| watch.data(bytes, objects, now, draws));
                self.step(&key, verb, step, now);
            }
            Asker::Group => {
                let answer = self.group.data(bytes, now, draws);
                self.group_answered(id, answer, now);
            }
            Asker::Address(ip) => {
                let step = self.lookups.data(ip, bytes, now);
                self.looked_up(id, ip, step, now);
            }
            Asker::Place => {
                let step = self.place_list.data(bytes, now, draws);
                self.place_listed(id, step, now);
            }
        }
    }

    /// The end of an answer.
    pub fn end(&mut self, id: RequestId, end: End, now: Now) {
        let Some(asker) = self.asked.remove(&id) else { return };
        let draws = &self.draws;
        match asker {
            Asker::Watch(key) => {
                let verb = self.watches.watch(&key).map_or("list", Watch::verb);
                let step = self.watches.with(&key, |watch, objects| watch.end(end, objects, now, draws));
                self.step(&key, verb, step, now);
            }
            Asker::Group => {
                let answer = self.group.end(end, now, draws);
                self.group_answered(id, answer, now);
            }
            Asker::Address(ip) => {
                let step = self.lookups.end(ip, end, now);
                self.looked_up(id, ip, step, now);
            }
            Asker::Place => {
                let watches = &mut self.watches;
                let step = self.place_list.end(end, |object| watches.look(object), now, draws);
                self.place_listed(id, step, now);
            }
        }
    }

    /// The output so far. To be called after each input above, and at [`Output::wake`].
    pub fn poll(&mut self, now: Now) -> Output {
        self.give_up_late_requests(now);
        self.let_go(now);
        self.settle(now);
        self.choose_watches();
        self.doubt_refusal(now);
        if self.link.opens(now) {
            self.out.actions.push(Action::Connect);
        }
        if self.link.is_up() {
            self.send_due(now);
        }
        self.tell();
        self.tell_place();
        let mut out = core::mem::take(&mut self.out);
        out.rejections_changed = core::mem::take(&mut self.watches.reader.rejections_changed);
        out.wake = self.wake(now);
        out
    }

    /// Objects that are malformed, and why.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.watches.rejections()
    }

    /// Whether our own Services have been listed once, or could not be.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    fn wake(&self, now: Now) -> Option<Now> {
        let interests = self.interests.map.values();
        let interests = interests.map(|interest| interest.deadline().unwrap_or(interest.let_go()));
        let mut wakes: Vec<Now> = interests.chain(self.link.wake()).collect();
        if self.link.is_up() {
            wakes.extend(self.watches.iter().map(|(_, watch)| watch.wake()));
            wakes.extend(self.group.wake());
            wakes.extend(self.lookups.wake());
            wakes.extend(self.place_list.wake().filter(|_| self.watches.reader.place.is_open()));
        }
        wakes.into_iter().filter(|wake| *wake > now).min() // what is overdue waits for something else
    }
}

/// Whether there can be a Service of this name: clients choose names.
fn can_be(service: &ServiceName) -> bool {
    is_label(&service.namespace) && is_label(&service.name)
}
