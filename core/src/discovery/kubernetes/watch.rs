//! One watched collection: it is listed, and then watched from the version of the list. What goes wrong is tried again.

use alloc::string::String;
use core::time::Duration;

use serde_json::value::RawValue;

use super::api::{End, RequestId};
use super::body::Lines;
use super::pages::{LIMIT, Pages, smaller};
use super::pauses;
use super::report::Problem;
use super::resource::{Collection, Freshness, Kind};
use super::wire::Event;
use crate::draws::Draws;
use crate::time::Now;

/// The store of the objects.
pub(super) trait Objects {
    /// One of a list that is not whole yet.
    fn listed(&mut self, object: &RawValue);
    /// The list is complete: objects that are not in it are gone.
    fn list_is_whole(&mut self);
    /// The list begins anew: those since the last whole one are forgotten.
    fn list_is_void(&mut self);
    /// Added, or modified.
    fn applied(&mut self, object: &RawValue);
    /// Deleted.
    fn deleted(&mut self, object: &RawValue);
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It goes on.
    Continues,
    /// It is over, and all is well: the next is sent when it is due.
    Over,
    /// The same, and all of the collection is known.
    Listed,
    /// It goes on, and all of the collection is known by that.
    Watched,
    /// It is over: the access is forbidden (403).
    Refused,
    /// It is over: the credentials are not valid (401).
    Unauthorized,
    /// It is over, for there is no such resource (404).
    Missing,
    /// It is over, and is tried again.
    Failed(Problem),
}

/// The state of a watched collection.
#[derive(Debug)]
pub(super) struct Watch {
    stage: Stage,
    /// What to watch on from; `None`: it must be listed.
    version: Option<String>,
    limit: u32,
    failures: u32,
    /// Consecutive watches without an answer of 200: the version may be the cause.
    vain: u32,
    /// When it was listed last, and how often in a row its version was too old soon after that.
    listed: Option<Now>,
    expired: u32,
    synced: bool,
    /// The time of the first refusal.
    refused: Option<Now>,
    /// Whether [`Step::Refused`] was the last word.
    gave_up: bool,
    /// Whether it may be listed, and not watched: a list alone is of no use.
    needs_watch: bool,
}

#[derive(Debug)]
enum Stage {
    /// The next request is sent then. A list goes on where it was.
    Due(Now, Option<Pages>),
    Listing {
        id: RequestId,
        pages: Pages,
        late: Now,
    },
    Watching {
        id: RequestId,
        lines: Lines,
        late: Now,
        /// No sooner is the next sent, even if this ends at once.
        next: Now,
    },
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            stage: Stage::Due(Now::default(), None),
            version: None,
            limit: LIMIT,
            failures: 0,
            vain: 0,
            listed: None,
            expired: 0,
            synced: false,
            refused: None,
            gave_up: false,
            needs_watch: false,
        }
    }

    /// Whether all of it is known: it has been listed, and it is watched since, as far as we are let.
    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// Whether the last answer was that we may not.
    pub(super) fn is_refused(&self) -> bool {
        self.gave_up
    }

    /// How often in a row it went wrong.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The verb of the present request, else of the next.
    pub(super) fn verb(&self) -> &'static str {
        if self.version.is_some() { "watch" } else { "list" }
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        matches!(self.stage, Stage::Due(at, _) if at <= now)
    }

    /// When it does something by itself.
    pub(super) fn wake(&self) -> Now {
        match &self.stage {
            Stage::Due(at, _) => *at,
            Stage::Listing { late, .. } | Stage::Watching { late, .. } => *late,
        }
    }

    /// The request that is under way.
    pub(super) fn request(&self) -> Option<RequestId> {
        match &self.stage {
            Stage::Due(..) => None,
            Stage::Listing { id, .. } | Stage::Watching { id, .. } => Some(*id),
        }
    }

    /// The next request, which is sent under this name.
    pub(super) fn send(&mut self, id: RequestId, of: &Collection, now: Now, draws: &Draws) -> String {
        let late = pauses::after(now, HEAD_MAX);
        match &self.version {
            Some(version) => {
                let seconds = pauses::watch_seconds(draws);
                let path = of.watch(version, seconds);
                let next = pauses::after(now, WATCH_MIN);
                self.stage = Stage::Watching { id, lines: Lines::default(), late, next };
                self.vain += 1;
                path
            }
            None => {
                let pages = match core::mem::replace(&mut self.stage, Stage::Due(now, None)) {
                    Stage::Due(_, Some(pages)) => pages,
                    Stage::Due(..) | Stage::Listing { .. } | Stage::Watching { .. } => {
                        Pages::new(self.limit, self.freshness(of))
                    }
                };
                let path = pages.path(of);
                self.stage = Stage::Listing { id, pages, late };
                path
            }
        }
    }

    /// The watch makes good what the first list lacks. A later one must not be older than what is known, and a Service that is asked for
    /// by its name is believed to be absent.
    fn freshness(&self, of: &Collection) -> Freshness {
        let is_one = of.kind == Kind::Service && of.service.is_some();
        if self.listed.is_some() || is_one { Freshness::Latest } else { Freshness::Cached }
    }

    /// The connection is gone, and the request with it. A watch goes on where it was.
    pub(super) fn lost(&mut self, objects: &mut impl Objects) {
        self.vain = 0;
        if self.request().is_some() {
            objects.list_is_void();
            self.stage = Stage::Due(Now::default(), None);
        } else if let Stage::Due(at, pages) = &mut self.stage {
            if pages.take().is_some() {
                objects.list_is_void();
            }
            if self.refused.is_none() {
                *at = Now::default(); // whoever answers next has not asked for a pause
            }
        }
    }

    /// To be listed anew, by itself: it is another resource now.
    pub(super) fn begin_anew(&mut self, objects: &mut impl Objects, at: Now) {
        objects.list_is_void();
        self.version = None;
        self.stage = Stage::Due(at, None);
    }

    /// At once, if it waits.
    pub(super) fn hurry(&mut self, now: Now) {
        if let Stage::Due(at, _) = &mut self.stage {
            *at = (*at).min(now);
        }
    }

    /// The head of the answer.
    pub(super) fn head(
        &mut self,
        status: u16,
        retry_after: Option<Duration>,
        objects: &mut impl Objects,
        now: Now,
        draws: &Draws,
    ) -> Step {
        match status {
            200 => {
                if let Stage::Listing { late, .. } = &mut self.stage {
                    *late = pauses::after(now, STALL_MAX);
                }
                if let Stage::Watching { late, .. } = &mut self.stage {
                    *late = pauses::after(now, WATCH_MAX);
                    self.vain = 0;
                    self.refused = None;
                    if core::mem::take(&mut self.needs_watch) {
                        self.synced = true;
                        self.gave_up = false;
                        return Step::Watched;
                    }
                }
                Step::Continues
            }
            401 => {
                self.fail(Problem::Status(status), objects, now, draws);
                Step::Unauthorized
            }
            403 => self.refuse(objects, now, draws),
            404 => {
                self.fail(Problem::Status(status), objects, now, draws);
                Step::Missing
            }
            410 => self.expire(objects, now, draws),
            _ => {
                let step = self.fail(Problem::Status(status), objects, now, draws);
                if let Some(asked) = retry_after.filter(|_| matches!(status, 429 | 503)) {
                    self.stage = Stage::Due(pauses::after(now, pauses::retry_after(asked, draws)), None);
                }
                step
            }
        }
    }

    /// Some of its body.
    pub(super) fn data(&mut self, bytes: &[u8], objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        let problem = match &mut self.stage {
            Stage::Due(..) => return Step::Continues,
            Stage::Listing { pages, late, .. } => {
                *late = pauses::after(now, STALL_MAX);
                match pages.data(bytes) {
                    Ok(()) => return Step::Continues,
                    Err(_) if self.limit > 1 => {
                        self.limit = smaller(self.limit);
                        objects.list_is_void();
                        self.stage = Stage::Due(now, None);
                        return Step::Over;
                    }
                    Err(problem) => problem,
                }
            }
            Stage::Watching { lines, .. } => {
                let (mut version, mut status) = (None, None);
                let taken = lines.take(bytes, |line| {
                    let (event, reached) = Event::read(line)?;
                    match event {
                        Event::Applied(object) => objects.applied(object),
                        Event::Deleted(object) => objects.deleted(object),
                        Event::Bookmark => {}
                        Event::Error(code) => {
                            status = Some(code);
                            return Err(Problem::Status(code));
                        }
                    }
                    version = reached.or(version.take());
                    Ok(())
                });
                self.version = version.or(self.version.take());
                match (taken, status) {
                    (Ok(()), _) => return Step::Continues,
                    (Err(_), Some(410)) => return self.expire(objects, now, draws),
                    // The lost event is unknown: list again.
                    (Err(problem @ (Problem::Malformed(_) | Problem::TooLong)), _) => {
                        self.version = None;
                        problem
                    }
                    (Err(problem), _) => problem,
                }
            }
        };
        self.fail(problem, objects, now, draws)
    }

    /// Its end.
    pub(super) fn end(&mut self, end: End, objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        match &mut self.stage {
            Stage::Due(..) => Step::Continues,
            Stage::Listing { pages, .. } if end == End::Whole => {
                match pages.end(|object| objects.listed(object)) {
                    Ok(Some(version)) => {
                        objects.list_is_whole();
                        self.version = Some(version);
                        self.stage = Stage::Due(now, None);
                        self.listed = Some(now);
                        self.vain = 0;
                        if self.needs_watch {
                            return Step::Over;
                        }
                        self.synced = true;
                        self.gave_up = false;
                        self.refused = None;
                        Step::Listed
                    }
                    Ok(None) => {
                        let stage = core::mem::replace(&mut self.stage, Stage::Due(now, None));
                        if let Stage::Listing { pages, .. } = stage {
                            self.stage = Stage::Due(now, Some(pages));
                        }
                        Step::Over
                    }
                    Err(problem) => self.fail(problem, objects, now, draws),
                }
            }
            Stage::Watching { next, .. } if end == End::Whole => {
                self.stage = Stage::Due(now.max(*next), None);
                Step::Over
            }
            Stage::Listing { .. } | Stage::Watching { .. } => self.fail(Problem::Cut, objects, now, draws),
        }
    }

    /// Gives up a request that has no answer, or whose answer has stalled.
    pub(super) fn tick(&mut self, objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        match &self.stage {
            Stage::Listing { late, .. } | Stage::Watching { late, .. } if *late <= now => {
                self.fail(Problem::Late, objects, now, draws)
            }
            Stage::Due(..) | Stage::Listing { .. } | Stage::Watching { .. } => Step::Continues,
        }
    }

    fn fail(&mut self, problem: Problem, objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        objects.list_is_void();
        if matches!(self.stage, Stage::Watching { next, .. } if now.since(next) >= WELL) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        if self.vain >= VAIN_MAX {
            self.version = None;
            self.vain = 0;
        }
        self.stage = Stage::Due(pauses::after(now, pauses::backoff(self.failures, draws)), None);
        Step::Failed(problem)
    }

    /// The version is too old: it is listed anew, at once if this is no habit.
    fn expire(&mut self, objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        self.version = None;
        self.fail(Problem::Status(410), objects, now, draws);
        if self.listed.is_none_or(|listed| now.since(listed) >= WELL) {
            self.expired = 0;
        }
        let pause = match self.expired {
            0 => Duration::ZERO,
            more => pauses::backoff(more, draws),
        };
        self.expired += 1;
        self.stage = Stage::Due(pauses::after(now, pause), None);
        Step::Over
    }

    /// Handles a 403. A server that has just started refuses all clients for a moment, so a working access stays for a while.
    fn refuse(&mut self, objects: &mut impl Objects, now: Now, draws: &Draws) -> Step {
        let since = *self.refused.get_or_insert(now);
        if self.synced && now.since(since) < REFUSED_MIN {
            return self.fail(Problem::Status(403), objects, now, draws);
        }
        self.fail(Problem::Status(403), objects, now, draws);
        self.needs_watch |= self.version.take().is_some();
        self.synced = false;
        self.gave_up = true;
        self.stage = Stage::Due(pauses::after(now, pauses::after_refusal(draws)), None);
        Step::Refused
    }
}

/// Until the head of an answer.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Between two pieces of a list.
const STALL_MAX: Duration = Duration::from_secs(30);

/// The longest that is drawn for a watch, and a while for the server to end it.
const WATCH_MAX: Duration = Duration::from_secs(590 + 30);

/// From one watch to the next: a server that ends each at once is asked once a second.
const WATCH_MIN: Duration = Duration::from_secs(1);

/// The time after which a working watch clears earlier failures.
const WELL: Duration = Duration::from_secs(10);

/// After so many watches without an answer of 200 it is listed.
const VAIN_MAX: u32 = 3;

/// The time for which a working access must be refused until it counts: an API server enforces its Roles some seconds after its start.
const REFUSED_MIN: Duration = Duration::from_secs(30);
