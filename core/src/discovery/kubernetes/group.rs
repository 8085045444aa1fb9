//! In which form the API server tells of endpoints: asked once, and again where it is not the form of today.

use alloc::vec::Vec;
use core::time::Duration;

use super::api::{End, RequestId};
use super::body::keep;
use super::pauses;
use super::resource::SliceApi;
use super::wire::group_versions;
use crate::draws::Draws;
use crate::time::Now;

pub(super) const GROUP_PATH: &str = "/apis/discovery.k8s.io";

/// The question for the versions of `discovery.k8s.io`.
#[derive(Debug)]
pub(super) struct Group {
    /// When to ask; `None`: not at all.
    due: Option<Now>,
    asked: Option<Asked>,
    failures: u32,
}

#[derive(Debug)]
struct Asked {
    id: RequestId,
    late: Now,
    body: Vec<u8>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing yet.
    None,
    Told(SliceApi),
    Failed,
    Unauthorized,
}

impl Group {
    pub(super) fn new() -> Group {
        Group { due: Some(Now::default()), asked: None, failures: 0 }
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        self.asked.is_none() && self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn wake(&self) -> Option<Now> {
        self.asked.as_ref().map(|asked| asked.late).or(self.due)
    }

    pub(super) fn request(&self) -> Option<RequestId> {
        self.asked.as_ref().map(|asked| asked.id)
    }

    pub(super) fn sent(&mut self, id: RequestId, now: Now) {
        self.asked = Some(Asked { id, late: pauses::after(now, LATE), body: Vec::new() });
    }

    /// The connection is gone. Another API server may answer next.
    pub(super) fn lost(&mut self, api: Option<SliceApi>) {
        let is_settled = api == Some(SliceApi::V1);
        if self.asked.take().is_some() || !is_settled {
            self.due = Some(Now::default());
        }
    }

    /// What it said is not so.
    pub(super) fn doubt(&mut self, now: Now, draws: &Draws) {
        if self.asked.is_none() && self.due.is_none_or(|due| due > pauses::after(now, SOON)) {
            self.failures = self.failures.saturating_add(1);
            self.due = Some(pauses::after(now, pauses::backoff(self.failures, draws)));
        }
    }

    pub(super) fn head(&mut self, status: u16, now: Now, draws: &Draws) -> Answer {
        match status {
            200 => Answer::None,
            401 => {
                self.fail(now, draws);
                Answer::Unauthorized
            }
            403 => self.told(SliceApi::V1, now), // the form of today, then
            404 => self.told(SliceApi::Endpoints, now),
            _ => self.fail(now, draws),
        }
    }

    pub(super) fn data(&mut self, bytes: &[u8], now: Now, draws: &Draws) -> Answer {
        let Some(asked) = &mut self.asked else { return Answer::None };
        match keep(&mut asked.body, bytes, BODY_MAX) {
            Ok(()) => Answer::None,
            Err(_) => self.fail(now, draws),
        }
    }

    pub(super) fn end(&mut self, end: End, now: Now, draws: &Draws) -> Answer {
        let Some(asked) = &self.asked else { return Answer::None };
        match group_versions(&asked.body).filter(|_| end == End::Whole) {
            None => self.fail(now, draws),
            Some(versions) if versions.iter().any(|version| version == "v1") => self.told(SliceApi::V1, now),
            Some(versions) if versions.iter().any(|version| version == "v1beta1") => {
                self.told(SliceApi::V1beta1, now)
            }
            Some(_) => self.told(SliceApi::Endpoints, now),
        }
    }

    pub(super) fn tick(&mut self, now: Now, draws: &Draws) -> Answer {
        match &self.asked {
            Some(asked) if asked.late <= now => self.fail(now, draws),
            Some(_) | None => Answer::None,
        }
    }

    fn told(&mut self, api: SliceApi, now: Now) -> Answer {
        self.asked = None;
        self.due = (api != SliceApi::V1).then(|| pauses::after(now, AGAIN));
        Answer::Told(api)
    }

    fn fail(&mut self, now: Now, draws: &Draws) -> Answer {
        self.failures = self.failures.saturating_add(1);
        self.asked = None;
        self.due = Some(pauses::after(now, pauses::backoff(self.failures, draws)));
        Answer::Failed
    }
}

/// How long an old form is good for: servers are upgraded, and one that has just started may not know all it has.
const AGAIN: Duration = Duration::from_secs(300);

/// The longest pause after failures.
const SOON: Duration = Duration::from_secs(10);

const LATE: Duration = Duration::from_secs(10);

/// It is 500 bytes.
const BODY_MAX: usize = 64 << 10;
