//! Services as the API server tells of them, by as few requests as can be: the Services of the pod's namespace are watched, and the slices
//! of those in use. Another namespace's Service is watched once it is wanted.
//!
//! Pure: what happens on the one connection is told ([`Kubernetes::connected`], [`Kubernetes::head`] and so on), and
//! [`Kubernetes::poll`] says what follows. The shell is told what to send, and the inventory what has changed.
//!
//! What was known stays in force while the API server is gone. What is not known in time, or not allowed, is for others to decide (the
//! environment, DNS): a Service whose endpoints cannot be had is withdrawn until they can.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::address::ServiceName;
use crate::draws::Draws;
use crate::hash::HashMap;
use crate::inventory::Rejection;
use crate::service::ServiceType;
use crate::time::Now;

mod api;
mod body;
mod complaints;
mod group;
mod interest;
mod known;
mod link;
mod lookups;
mod pages;
mod pauses;
mod place_list;
mod report;
mod resource;
mod told;
mod watch;
mod watches;
mod wire;

#[cfg(test)]
mod tests;

pub use api::{Action, End, Outcome, Output, Place, RequestId, Settings, Want};
pub use report::{Access, Problem, Report};

use complaints::Complaints;
use group::{Answer, GROUP_PATH, Group};
use interest::{Interests, Memory};
use known::PlaceSearch;
use link::Link;
use lookups::Lookups;
use place_list::PlaceList;
use resource::{Collection, SliceApi, is_label};
use told::{Saying, Told};
use watch::{Step, Watch};
use watches::{WatchKey, Watches, What};

/// The state of discovery by the API server.
#[derive(Debug)]
pub struct Kubernetes {
    namespace: Arc<str>,
    draws: Draws,
    link: Link,
    last_id: u64,
    /// Who waits for which answer.
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

/// What is known of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    Complete,
    Absent,
    Refused,
    /// There is no connection.
    Lost,
    Pending,
}

impl Kubernetes {
    /// Connects with the first [`Kubernetes::poll`]. `draws` spread the requests of those who start together.
    pub fn new(settings: Settings, draws: Draws) -> Kubernetes {
        let place = PlaceSearch { addresses: settings.wants_place.unwrap_or_default(), found: None };
        let mut watches = Watches::new(settings.rules, place);
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

    /// Somebody waits: what becomes of that is among [`Output::settled`] within some two seconds, even if it was wanted several times.
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

    /// A Service has connections now.
    pub fn used(&mut self, service: &ServiceName, now: Now) {
        if can_be(service) && !self.absent.has(service, now) {
            self.interests.note(service, now);
        }
    }

    /// The connection that was to be opened is there.
    pub fn connected(&mut self, _: Now) {
        self.link.connected();
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

    /// What follows from everything told so far, and from the time. To be asked after each of the above, and at [`Output::wake`].
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
        let mut out = core::mem::take(&mut self.out);
        out.rejections_changed = core::mem::take(&mut self.watches.rejections_changed);
        out.wake = self.wake(now);
        out
    }

    /// Objects that are malformed, and why.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.watches.rejections()
    }

    /// Where the pod runs, once a slice has told.
    pub fn place(&self) -> Option<&Place> {
        self.watches.place.found.as_ref()
    }

    /// Whether our own Services have been listed once, or could not be.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    fn want_service(&mut self, service: ServiceName, now: Now) {
        let noted = match can_be(&service) && !self.absent.has(&service, now) {
            true => self.interests.note(&service, now),
            false => None,
        };
        match noted {
            Some(interest) => {
                interest.asked.get_or_insert(now);
            }
            None => self.settled(&service, Outcome::Unknown, now),
        }
    }

    fn works(&mut self, key: &WatchKey, verb: &'static str) {
        if let Some(of) = key.collection(self.watches.api) {
            self.complaints.works(of.access(verb), &mut self.out.reports);
        }
    }

    /// What follows from what has become of a watch's request, which was to `verb`.
    fn step(&mut self, key: &WatchKey, verb: &'static str, step: Option<Step>, now: Now) {
        let Some(step) = step else { return };
        if step == Step::Continues {
            return;
        }
        if key.what == What::Services && *key.namespace() == self.namespace && step != Step::Over {
            self.synced = true;
        }
        if step != Step::Watched {
            self.cancel_all_but(key);
        }
        let access = key.collection(self.watches.api).map(|of| of.access(verb));
        match step {
            Step::Continues | Step::Over => {}
            Step::Listed | Step::Watched => {
                self.works(key, "list");
                self.watches.touch_all(key);
                if self.is_own_slices(key) {
                    self.refuse_slices(false, now);
                }
            }
            Step::Refused => {
                self.watches.forget(key);
                access.into_iter().for_each(|access| self.complaints.refused(access, &mut self.out.reports));
                if self.is_own_slices(key) {
                    self.refuse_slices(true, now);
                }
            }
            Step::Unauthorized => self.log_in_again(now),
            Step::Missing => {
                if key.what == What::Slices {
                    self.group.doubt(now, &self.draws);
                }
                self.failed(key, access, Problem::Status(404));
            }
            Step::Failed(problem) => self.failed(key, access, problem),
        }
    }

    /// Told when it happens again: servers that restart cut and refuse for a moment.
    fn failed(&mut self, key: &WatchKey, access: Option<Access>, problem: Problem) {
        let again = self.watches.watch(key).is_some_and(|watch| watch.failures() > 1);
        if let Some(access) = access.filter(|_| again) {
            self.complaints.failing(access, problem, &mut self.out.reports);
        }
    }

    /// The requests of this watch that are not its present one.
    fn cancel_all_but(&mut self, key: &WatchKey) {
        let present = self.watches.watch(key).and_then(Watch::request);
        let over = |(id, asker): (&RequestId, &Asker)| match asker {
            Asker::Watch(of) if of == key && Some(*id) != present => Some(*id),
            Asker::Watch(_) | Asker::Group | Asker::Address(_) | Asker::Place => None,
        };
        let over: Vec<RequestId> = self.asked.iter().filter_map(over).collect();
        over.into_iter().for_each(|id| self.cancel(id));
    }

    fn cancel(&mut self, id: RequestId) {
        if self.asked.remove(&id).is_some() {
            self.out.actions.push(Action::Cancel(id));
        }
    }

    fn is_own_slices(&self, key: &WatchKey) -> bool {
        key.what == What::Slices && *key.namespace() == self.namespace
    }

    /// Whether the slices of our own namespace are refused is the same for all of them: one of them asks again from time to time.
    fn refuse_slices(&mut self, refused: bool, now: Now) {
        if core::mem::replace(&mut self.slices_refused, refused) == refused {
            return;
        }
        self.watches.touch_all(&WatchKey::all(What::Services, &self.namespace));
        for key in self.watches.keys() {
            if self.is_own_slices(&key) && !refused {
                self.watches.with(&key, |watch, _| watch.hurry(now));
            }
        }
    }

    /// Where nothing is left that asks again whether slices are refused, whoever wants some does.
    fn doubt_refusal(&mut self, now: Now) {
        let asks = |(key, watch): (&WatchKey, &Watch)| self.is_own_slices(key) && !watch.is_synced();
        if self.slices_refused && !self.watches.iter().any(asks) {
            self.refuse_slices(false, now);
        }
    }

    fn group_answered(&mut self, id: RequestId, answer: Answer, now: Now) {
        if answer == Answer::None {
            return;
        }
        self.cancel(id);
        match answer {
            Answer::None | Answer::Failed => {}
            Answer::Unauthorized => self.log_in_again(now),
            Answer::Told(api) => {
                if self.watches.api.replace(api) == Some(api) {
                    return;
                }
                match api {
                    SliceApi::V1 => {}
                    SliceApi::V1beta1 => self.out.reports.push(Report::OldSlices(Some("v1beta1"))),
                    SliceApi::Endpoints => self.out.reports.push(Report::OldSlices(None)),
                }
                for key in self.watches.keys().into_iter().filter(|key| key.what == What::Slices) {
                    self.watches.with(&key, |watch, objects| watch.begin_anew(objects, now));
                    self.cancel_all_but(&key);
                }
            }
        }
    }

    fn looked_up(&mut self, id: RequestId, ip: IpAddr, step: lookups::Step, now: Now) {
        if step == lookups::Step::Continues {
            return;
        }
        self.cancel(id);
        match step {
            lookups::Step::Continues | lookups::Step::Again => {}
            lookups::Step::Unauthorized => self.log_in_again(now),
            lookups::Step::Found(None) => self.out.settled.push((Want::Address(ip), Outcome::Unknown)),
            lookups::Step::Found(Some(service)) => {
                self.addresses.entry(service.clone()).or_default().insert(ip);
                self.want_service(service, now);
            }
            lookups::Step::Closed(access, problem) => {
                self.out.settled.push((Want::Address(ip), Outcome::Unknown));
                self.give_up_lookups();
                self.complaints.no_lookup(access, problem, &mut self.out.reports);
            }
        }
    }

    fn give_up_lookups(&mut self) {
        for ip in self.lookups.give_up() {
            self.out.settled.push((Want::Address(ip), Outcome::Unknown));
        }
        let asks = |(id, asker): (&RequestId, &Asker)| matches!(asker, Asker::Address(_)).then_some(*id);
        let over: Vec<RequestId> = self.asked.iter().filter_map(asks).collect();
        over.into_iter().for_each(|id| self.cancel(id));
    }

    fn place_listed(&mut self, id: RequestId, step: place_list::Step, now: Now) {
        match step {
            place_list::Step::Continues => {}
            place_list::Step::Over => self.cancel(id),
            place_list::Step::Unauthorized => self.log_in_again(now),
            place_list::Step::Refused => {
                self.cancel(id);
                self.slices_of_place()
                    .into_iter()
                    .for_each(|of| self.complaints.refused(of.access("list"), &mut self.out.reports));
            }
        }
    }

    /// Where the pod is looked for.
    fn slices_of_place(&self) -> Option<Collection> {
        WatchKey::all(What::Slices, &self.namespace).collection(self.watches.api)
    }

    /// A Service is waited for no longer, nor are its addresses.
    fn settled(&mut self, service: &ServiceName, outcome: Outcome, now: Now) {
        self.out.settled.push((Want::Service(service.clone()), outcome));
        for ip in self.addresses.remove(service).into_iter().flatten() {
            self.out.settled.push((Want::Address(ip), outcome));
            if outcome == Outcome::Unknown {
                self.lookups.forget(ip, now);
            }
        }
    }

    /// Nobody knows us: the token has expired, or is about to be another.
    fn log_in_again(&mut self, now: Now) {
        self.complaints.unauthorized(&mut self.out.reports);
        self.synced = true;
        if self.lose(now) {
            self.out.actions.push(Action::Disconnect);
        }
    }

    /// The connection is gone, with all that was under way. Whether there was one, or was to be.
    fn lose(&mut self, now: Now) -> bool {
        if !self.link.lost(now, &self.draws) {
            return false;
        }
        self.asked.clear(); // first: nothing of this connection is cancelled
        let of_connection = |action: &Action| matches!(action, Action::Send { .. } | Action::Cancel(_));
        self.out.actions.retain(|action| !of_connection(action));
        self.group.lost(self.watches.api);
        self.place_list.lost();
        self.give_up_lookups();
        for key in self.watches.keys() {
            self.watches.with(&key, |watch, objects| watch.lost(objects));
        }
        true
    }

    fn give_up_late_requests(&mut self, now: Now) {
        for key in self.watches.keys() {
            let verb = self.watches.watch(&key).map_or("list", Watch::verb);
            let draws = &self.draws;
            let step = self.watches.with(&key, |watch, objects| watch.tick(objects, now, draws));
            self.step(&key, verb, step, now);
        }
        if let Some(id) = self.group.request() {
            let answer = self.group.tick(now, &self.draws);
            self.group_answered(id, answer, now);
        }
        for (ip, id) in self.lookups.late(now) {
            self.looked_up(id, ip, lookups::Step::Found(None), now);
        }
        self.place_list.late(now, &self.draws).into_iter().for_each(|id| self.cancel(id));
    }

    /// Forgets what nobody has used for long. Where slices are refused, somebody must ask from time to time.
    fn let_go(&mut self, now: Now) {
        let is_kept = |service: &ServiceName| self.slices_refused && service.namespace == self.namespace;
        self.interests.map.retain(|service, interest| {
            let stays = interest.asked.is_some() || interest.let_go() > now || is_kept(service);
            if !stays {
                self.watches.touched.insert(service.clone());
            }
            stays
        });
    }

    fn knowledge(&self, service: &ServiceName) -> Knowledge {
        let missing = if self.link.is_lost() { Knowledge::Lost } else { Knowledge::Pending };
        let Some(about) = self.watches.about(service) else { return missing };
        if about.is_refused() {
            return Knowledge::Refused;
        }
        if !about.is_synced() {
            return missing;
        }
        match self.watches.service(service) {
            None => Knowledge::Absent,
            Some(service) if service.kind == ServiceType::ExternalName => Knowledge::Complete,
            Some(_) if self.watches.knows_slices(service) => Knowledge::Complete,
            Some(_) if self.slices_refused && service.namespace == self.namespace => Knowledge::Refused,
            Some(_) if self.watches.is_refused(service) => Knowledge::Refused,
            Some(_) => missing,
        }
    }

    /// Tells whoever waits, and decides who waits no longer.
    fn settle(&mut self, now: Now) {
        let mut gone = Vec::new();
        for service in self.interests.map.keys().cloned().collect::<Vec<_>>() {
            let knowledge = self.knowledge(&service);
            let is_own = service.namespace == self.namespace;
            let Some(interest) = self.interests.map.get_mut(&service) else { continue };
            let is_late = interest.deadline().is_some_and(|deadline| deadline <= now);
            let outcome = match knowledge {
                Knowledge::Complete => {
                    if core::mem::take(&mut interest.gave_up) {
                        self.watches.touched.insert(service.clone());
                    }
                    Outcome::Known
                }
                Knowledge::Pending if !is_late => continue,
                Knowledge::Absent | Knowledge::Refused | Knowledge::Lost | Knowledge::Pending => {
                    Outcome::Unknown
                }
            };
            if interest.asked.take().is_some() {
                if outcome == Outcome::Unknown && !core::mem::replace(&mut interest.gave_up, true) {
                    self.watches.touched.insert(service.clone());
                }
                self.settled(&service, outcome, now);
            }
            match knowledge {
                Knowledge::Absent => gone.push(service),
                Knowledge::Refused if !is_own => gone.push(service),
                Knowledge::Refused | Knowledge::Complete | Knowledge::Lost | Knowledge::Pending => {}
            }
        }
        for service in gone {
            self.interests.map.remove(&service);
            if service.namespace != self.namespace {
                self.absent.keep(service.clone(), pauses::after(now, ABSENT), now);
            }
            self.watches.touched.insert(service);
        }
    }

    /// Which collections are to be watched, for what is in use.
    fn choose_watches(&mut self) {
        let mut wanted = BTreeSet::from([WatchKey::all(What::Services, &self.namespace)]);
        let mut namespaces: Vec<(Arc<str>, Vec<ServiceName>)> = Vec::new();
        for service in self.interests.map.keys() {
            match namespaces.last_mut() {
                Some((namespace, services)) if *namespace == service.namespace => {
                    services.push(service.clone());
                }
                Some(_) | None => {
                    namespaces.push((service.namespace.clone(), Vec::from([service.clone()])));
                }
            }
        }
        self.whole.retain(|whole| namespaces.iter().any(|(namespace, _)| namespace == whole));
        for (namespace, services) in namespaces {
            self.choose_watches_in(&namespace, &services, &mut wanted);
        }
        for key in self.watches.keys() {
            if !wanted.contains(&key) {
                self.watches.remove(&key).into_iter().for_each(|id| self.cancel(id));
            }
        }
        wanted.into_iter().for_each(|key| self.watches.add(key));
    }

    fn choose_watches_in(
        &mut self,
        namespace: &Arc<str>,
        services: &[ServiceName],
        wanted: &mut BTreeSet<WatchKey>,
    ) {
        let is_own = *namespace == self.namespace;
        let most = if is_own { OWN_MAX } else { FOREIGN_MAX };
        if services.len() > most {
            self.whole.insert(namespace.clone());
        } else if services.len() <= most / 2 {
            self.whole.remove(namespace);
        }
        let whole = self.whole.contains(namespace);
        for what in [What::Services, What::Slices] {
            if what == What::Services && is_own {
                continue;
            }
            let needs = |service: &&ServiceName| {
                what == What::Services
                    || self.watches.service(service).is_some_and(|of| of.kind != ServiceType::ExternalName)
            };
            let all = WatchKey::all(what, namespace);
            let each: Vec<WatchKey> =
                services.iter().filter(needs).map(|service| WatchKey::one(what, service)).collect();
            let synced = |key: &WatchKey| self.watches.watch(key).is_some_and(Watch::is_synced);
            match whole {
                // The others stay until this one is there.
                true if synced(&all) => {}
                true => wanted.extend(each.into_iter().filter(|key| self.watches.watch(key).is_some())),
                false => {
                    if each.iter().all(synced) || self.watches.watch(&all).is_none() {
                        wanted.extend(each);
                        continue;
                    }
                    wanted.extend(each);
                }
            }
            wanted.insert(all);
        }
    }

    fn send_due(&mut self, now: Now) {
        if self.group.is_due(now) {
            let id = self.send(GROUP_PATH.into(), Asker::Group);
            self.group.sent(id, now);
        }
        if self.watches.place.is_open()
            && self.place_list.is_due(now)
            && let Some(of) = self.slices_of_place()
        {
            let path = self.place_list.pages().path(&of);
            let id = self.send(path, Asker::Place);
            self.place_list.sent(id, now);
        }
        while let Some((ip, path)) = self.lookups.next() {
            let id = self.send(path, Asker::Address(ip));
            self.lookups.sent(ip, id, now);
        }
        let mut asks_again = false;
        for key in self.watches.keys() {
            let Some(of) = key.collection(self.watches.api) else { continue };
            let is_synced = self.watches.watch(&key).is_some_and(Watch::is_synced);
            if self.slices_refused
                && self.is_own_slices(&key)
                && !is_synced
                && core::mem::replace(&mut asks_again, true)
            {
                continue; // one asks for all
            }
            if self.asked.len() >= STREAMS_MAX
                || !self.watches.watch(&key).is_some_and(|watch| watch.is_due(now))
            {
                continue;
            }
            let id = RequestId(self.last_id + 1);
            let draws = &self.draws;
            let path = self.watches.with(&key, |watch, _| watch.send(id, &of, now, draws));
            path.into_iter().for_each(|path| {
                self.send(path, Asker::Watch(key.clone()));
            });
        }
    }

    fn send(&mut self, path: alloc::string::String, asker: Asker) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.asked.insert(id, asker);
        self.out.actions.push(Action::Send { id, path, accept: "application/json" });
        id
    }

    /// What the inventory must hear.
    fn tell(&mut self) {
        let touched = core::mem::take(&mut self.watches.touched);
        let sayings = touched.into_iter().map(|service| {
            let saying = self.saying(&service);
            (service, saying)
        });
        let sayings = sayings.collect();
        self.out.changes.extend(self.told.say(sayings));
    }

    fn saying(&self, name: &ServiceName) -> Saying {
        let Some(service) = self.watches.service(name) else { return Saying::default() };
        let slices = self.watches.slices(name);
        let is_name = service.kind == ServiceType::ExternalName;
        let complete = is_name || slices.is_some();
        let is_own = name.namespace == self.namespace;
        let interest = self.interests.map.get(name);
        let gave_up = interest.is_some_and(|interest| interest.gave_up) || (is_own && self.slices_refused);
        let is_told = if is_own { complete || !gave_up } else { complete && interest.is_some() };
        match is_told {
            true => Saying {
                service: Some(service.clone()),
                complete,
                slices: slices.filter(|_| !is_name).unwrap_or_default(),
            },
            false => Saying::default(),
        }
    }

    fn wake(&self, now: Now) -> Option<Now> {
        let interests = self.interests.map.values();
        let interests = interests.map(|interest| interest.deadline().unwrap_or(interest.let_go()));
        let mut wakes: Vec<Now> = interests.chain(self.link.wake()).collect();
        if self.link.is_up() {
            wakes.extend(self.watches.iter().map(|(_, watch)| watch.wake()));
            wakes.extend(self.group.wake());
            wakes.extend(self.lookups.wake());
            wakes.extend(self.place_list.wake().filter(|_| self.watches.place.is_open()));
        }
        wakes.into_iter().filter(|wake| *wake > now).min() // what is overdue waits for something else
    }
}

/// Whether there can be a Service of this name: clients choose names.
fn can_be(service: &ServiceName) -> bool {
    is_label(&service.namespace) && is_label(&service.name)
}

/// Requests under way: API servers allow 100 to 250 on a connection.
const STREAMS_MAX: usize = 90;

/// Services of our own namespace whose slices are watched one by one; with more in use, those of all are. One watch costs the server 0.3 MB.
const OWN_MAX: usize = 60;

/// The same of another namespace, whose Services are watched one by one too.
const FOREIGN_MAX: usize = 8;

/// How long a Service of another namespace that is not there is not asked for again.
const ABSENT: Duration = Duration::from_secs(30);
