//! The state of each Service in use, for the inventory and for waiting requests.

use alloc::vec::Vec;
use core::time::Duration;

use super::api::{Outcome, Want};
use super::report::Report;
use super::told::Saying;
use super::{Kubernetes, can_be, pauses};
use crate::address::ServiceName;
use crate::inventory::Change;
use crate::service::ServiceType;
use crate::time::Now;

/// The state of a Service's facts.
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
    pub(super) fn want_service(&mut self, service: ServiceName, now: Now) {
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

    /// Ends the wait for a Service and for its addresses.
    pub(super) fn settled(&mut self, service: &ServiceName, outcome: Outcome, now: Now) {
        self.out.settled.push((Want::Service(service.clone()), outcome));
        for ip in self.addresses.remove(service).into_iter().flatten() {
            self.out.settled.push((Want::Address(ip), outcome));
            if !self.link.is_lost() {
                self.lookups.remember(ip, now);
            }
        }
    }

    /// Ends the interest in Services unused for long. While slices are refused, one interest stays to ask again.
    pub(super) fn let_go(&mut self, now: Now) {
        let is_kept = |service: &ServiceName| self.slices_refused && service.namespace == self.namespace;
        self.interests.map.retain(|service, interest| {
            let stays = interest.asked.is_some() || interest.let_go() > now || is_kept(service);
            if !stays {
                self.watches.reader.touched.insert(service.clone());
            }
            stays
        });
    }

    /// Settles the waits that have a result or have timed out.
    pub(super) fn settle(&mut self, now: Now) {
        let mut gone = Vec::new();
        for service in self.interests.map.keys().cloned().collect::<Vec<_>>() {
            let knowledge = self.knowledge(&service);
            let is_own = service.namespace == self.namespace;
            let Some(interest) = self.interests.map.get_mut(&service) else { continue };
            let is_late = interest.deadline().is_some_and(|deadline| deadline <= now);
            let outcome = match knowledge {
                Knowledge::Complete => {
                    if core::mem::take(&mut interest.gave_up) {
                        self.watches.reader.touched.insert(service.clone());
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
                    self.watches.reader.touched.insert(service.clone());
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
            self.watches.reader.touched.insert(service);
        }
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

    /// Collects the changes for the inventory.
    pub(super) fn tell(&mut self) {
        let touched = core::mem::take(&mut self.watches.reader.touched);
        let sayings = touched.into_iter().map(|service| {
            let saying = self.saying(&service);
            (service, saying)
        });
        let sayings = sayings.collect();
        self.out.changes.extend(self.told.say(sayings));
    }

    /// Reports the pod's place, once it is found.
    pub(super) fn tell_place(&mut self) {
        if let Some(here) = self.watches.reader.place.found.take() {
            self.out.reports.push(Report::Here(here.clone()));
            self.out.changes.push(Change::Here(here));
        }
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
}

/// How long a Service of another namespace that is not there is not asked for again.
const ABSENT: Duration = Duration::from_secs(30);
