//! Answers, and the absence of answers.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::api::{Action, Outcome, RequestId, Want};
use super::group::Answer;
use super::report::{Access, Problem, Report};
use super::resource::SliceApi;
use super::watch::{Step, Watch};
use super::watches::{WatchKey, What};
use super::{Asker, Kubernetes, lookups, place_list};
use crate::time::Now;

impl Kubernetes {
    pub(super) fn works(&mut self, key: &WatchKey, verb: &'static str) {
        if let Some(of) = key.collection(self.watches.api) {
            self.complaints.works(of.access(verb), &mut self.out.reports);
        }
    }

    /// Acts on the outcome of a watch's request with this verb.
    pub(super) fn step(&mut self, key: &WatchKey, verb: &'static str, step: Option<Step>, now: Now) {
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

    /// Told when it happens again: servers that restart cut and refuse for a moment. A refusal that lasts is told as such.
    pub(super) fn failed(&mut self, key: &WatchKey, access: Option<Access>, problem: Problem) {
        let again = self.watches.watch(key).is_some_and(|watch| watch.failures() > 1);
        if let Some(access) = access.filter(|_| again && problem != Problem::Status(403)) {
            self.complaints.failing(access, problem, &mut self.out.reports);
        }
    }

    /// The requests of this watch that are not its present one.
    pub(super) fn cancel_all_but(&mut self, key: &WatchKey) {
        let present = self.watches.watch(key).and_then(Watch::request);
        let over = |(id, asker): (&RequestId, &Asker)| match asker {
            Asker::Watch(of) if of == key && Some(*id) != present => Some(*id),
            Asker::Watch(_) | Asker::Group | Asker::Address(_) | Asker::Place => None,
        };
        let over: Vec<RequestId> = self.asked.iter().filter_map(over).collect();
        over.into_iter().for_each(|id| self.cancel(id));
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        if self.asked.remove(&id).is_some() {
            self.out.actions.push(Action::Cancel(id));
        }
    }

    pub(super) fn is_own_slices(&self, key: &WatchKey) -> bool {
        key.what == What::Slices && *key.namespace() == self.namespace
    }

    /// Whether the slices of our own namespace are refused is the same for all of them: one of them asks again from time to time.
    pub(super) fn refuse_slices(&mut self, refused: bool, now: Now) {
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

    /// Ends the refusal of slices where no watch is left that would ask again: the next want asks.
    pub(super) fn doubt_refusal(&mut self, now: Now) {
        let asks = |(key, watch): (&WatchKey, &Watch)| self.is_own_slices(key) && !watch.is_synced();
        if self.slices_refused && !self.watches.iter().any(asks) {
            self.refuse_slices(false, now);
        }
    }

    pub(super) fn group_answered(&mut self, id: RequestId, answer: Answer, now: Now) {
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

    pub(super) fn looked_up(&mut self, id: RequestId, ip: IpAddr, step: lookups::Step, now: Now) {
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

    pub(super) fn give_up_lookups(&mut self) {
        for ip in self.lookups.give_up() {
            self.out.settled.push((Want::Address(ip), Outcome::Unknown));
        }
        let asks = |(id, asker): (&RequestId, &Asker)| matches!(asker, Asker::Address(_)).then_some(*id);
        let over: Vec<RequestId> = self.asked.iter().filter_map(asks).collect();
        over.into_iter().for_each(|id| self.cancel(id));
    }

    pub(super) fn place_listed(&mut self, id: RequestId, step: place_list::Step, now: Now) {
        match step {
            place_list::Step::Continues => {}
            place_list::Step::Over => self.cancel(id),
            place_list::Step::Unauthorized => self.log_in_again(now),
        }
    }

    /// Closes the connection after a 401: the token has expired, or is being replaced.
    pub(super) fn log_in_again(&mut self, now: Now) {
        self.complaints.unauthorized(&mut self.out.reports);
        self.synced = true;
        if self.lose(now) {
            self.out.actions.push(Action::Disconnect);
        }
    }

    /// The connection is gone, with all that was under way. Whether there was one, or was to be.
    pub(super) fn lose(&mut self, now: Now) -> bool {
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

    pub(super) fn give_up_late_requests(&mut self, now: Now) {
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
}
