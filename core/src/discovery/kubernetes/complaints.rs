//! Problems that the log has reported: once when they begin, once when they end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::report::{Access, Problem, Report};

/// The present problems.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    of: BTreeMap<Access, Complaint>,
    /// The reasons for which there is no connection: a new one may be the one to act on.
    lost: BTreeSet<String>,
    unauthorized: bool,
    was_reached: bool,
    /// That addresses cannot be looked up is told once and for all: it is an option.
    no_lookup: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Complaint {
    Refused,
    Failing,
}

impl Complaints {
    pub(super) fn refused(&mut self, access: Access, reports: &mut Vec<Report>) {
        if self.note(&access, Complaint::Refused) {
            reports.push(Report::Refused(access));
        }
    }

    pub(super) fn failing(&mut self, access: Access, problem: Problem, reports: &mut Vec<Report>) {
        if !self.of.contains_key(&access) && self.note(&access, Complaint::Failing) {
            reports.push(Report::Failing(access, problem));
        }
    }

    pub(super) fn no_lookup(&mut self, access: Access, problem: Problem, reports: &mut Vec<Report>) {
        if !core::mem::replace(&mut self.no_lookup, true) {
            reports.push(Report::NoLookup(access, problem));
        }
    }

    pub(super) fn works(&mut self, access: Access, reports: &mut Vec<Report>) {
        match self.of.remove(&access) {
            Some(Complaint::Refused) => reports.push(Report::Allowed(access)),
            Some(Complaint::Failing) => reports.push(Report::Works(access)),
            None => {}
        }
    }

    pub(super) fn lost(&mut self, reason: &str, reports: &mut Vec<Report>) {
        if self.lost.len() < REASONS_MAX && self.lost.insert(reason.into()) {
            reports.push(Report::Lost(reason.into()));
        }
    }

    pub(super) fn unauthorized(&mut self, reports: &mut Vec<Report>) {
        if !core::mem::replace(&mut self.unauthorized, true) {
            reports.push(Report::Unauthorized);
        }
    }

    /// A connection serves.
    pub(super) fn reached(&mut self, reports: &mut Vec<Report>) {
        let news = !self.lost.is_empty() || self.unauthorized || !self.was_reached;
        (self.unauthorized, self.was_reached) = (false, true);
        self.lost.clear();
        if news {
            reports.push(Report::Reached);
        }
    }

    fn note(&mut self, access: &Access, complaint: Complaint) -> bool {
        if self.of.len() >= COMPLAINTS_MAX && !self.of.contains_key(access) {
            return false;
        }
        self.of.insert(access.clone(), complaint) != Some(complaint)
    }
}

/// Three verbs of two resources in a few namespaces; clients name namespaces, and do not fill the log.
const COMPLAINTS_MAX: usize = 64;

/// An end, a refusal, a timeout and a certificate.
const REASONS_MAX: usize = 4;
