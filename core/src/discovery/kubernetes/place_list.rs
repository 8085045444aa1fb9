//! The list of the namespace's slices in which the pod's own address is looked for.

use core::time::Duration;

use serde_json::value::RawValue;

use super::api::{End, RequestId};
use super::pages::{LIMIT, Pages, smaller};
use super::pauses;
use super::resource::Freshness;
use crate::draws::Draws;
use crate::time::Now;

/// Lists in which the pod may be.
#[derive(Debug)]
pub(super) struct PlaceList {
    due: Now,
    pages: Option<Pages>,
    limit: u32,
    asked: Option<(RequestId, Now)>,
    /// How many lists there may still be.
    left: u32,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Continues,
    Over,
    Unauthorized,
}

impl PlaceList {
    pub(super) fn new() -> PlaceList {
        PlaceList { due: Now::default(), pages: None, limit: LIMIT, asked: None, left: LISTS_MAX }
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.asked.is_none() && self.left > 0 && self.due <= now
    }

    pub(super) fn wake(&self) -> Option<Now> {
        match self.asked {
            Some((_, late)) => Some(late),
            None => Some(self.due).filter(|_| self.left > 0),
        }
    }

    /// The page to ask for.
    pub(super) fn pages(&mut self) -> &Pages {
        self.pages.get_or_insert(Pages::new(self.limit, Freshness::Cached))
    }

    pub(super) fn sent(&mut self, id: RequestId, now: Now) {
        self.asked = Some((id, pauses::after(now, LATE)));
    }

    pub(super) fn head(&mut self, status: u16, now: Now, draws: &Draws) -> Step {
        match status {
            200 => Step::Continues,
            401 => {
                self.asked = None;
                Step::Unauthorized
            }
            403 => {
                self.next(pauses::after(now, pauses::after_refusal(draws)));
                Step::Over // the Services in use need the same permission, and their watches tell
            }
            _ => self.fail(now, draws),
        }
    }

    pub(super) fn data(&mut self, bytes: &[u8], now: Now, draws: &Draws) -> Step {
        match self.pages.as_mut().map(|pages| pages.data(bytes)) {
            Some(Ok(())) | None => Step::Continues,
            Some(Err(_)) if self.limit > 1 => {
                self.limit = smaller(self.limit);
                (self.asked, self.pages) = (None, None);
                Step::Over
            }
            Some(Err(_)) => self.fail(now, draws),
        }
    }

    pub(super) fn end(&mut self, end: End, each: impl FnMut(&RawValue), now: Now, draws: &Draws) -> Step {
        let pages = self.pages.as_mut().filter(|_| end == End::Whole);
        match pages.map(|pages| pages.end(each)) {
            Some(Ok(None)) => self.asked = None,
            Some(Ok(Some(_))) => self.next(pauses::after(now, pauses::between(AGAIN, AGAIN * 2, draws))),
            Some(Err(_)) | None => return self.fail(now, draws),
        }
        Step::Over
    }

    /// The request that has no answer in time.
    pub(super) fn late(&mut self, now: Now, draws: &Draws) -> Option<RequestId> {
        let (id, _) = self.asked.filter(|(_, late)| *late <= now)?;
        self.fail(now, draws);
        Some(id)
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        (self.asked, self.pages) = (None, None);
    }

    fn fail(&mut self, now: Now, draws: &Draws) -> Step {
        self.next(pauses::after(now, pauses::backoff(u32::MAX, draws)));
        Step::Over
    }

    fn next(&mut self, due: Now) {
        (self.asked, self.pages, self.due) = (None, None, due);
        self.left -= u32::from(self.left > 0);
    }
}

/// At the start no slice has the pod yet, if it is in any: it gets its address after that.
const LISTS_MAX: u32 = 3;

/// When to list again, or twice as late.
const AGAIN: Duration = Duration::from_secs(15);

/// A page takes no longer.
const LATE: Duration = Duration::from_secs(30);
