//! Questions under way: each client has its share of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use svc_core::time::Now;
use tokio::task::{AbortHandle, JoinSet};

use super::question::{Question, Reply};
use crate::metrics::LookedUp;
use crate::shares::Shares;

/// All of them. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Flights {
    tasks: JoinSet<(Question, Reply)>,
    known: BTreeMap<Question, Flight>,
    shares: Shares<Question>,
    /// How long a client's own questions are left alone where he asks for more: four times what answers take.
    patience: Duration,
}

#[derive(Debug)]
struct Flight {
    since: Now,
    task: AbortHandle,
}

impl Flights {
    pub(super) fn new() -> Flights {
        let (tasks, known) = (JoinSet::new(), BTreeMap::new());
        Flights { tasks, known, shares: Shares::new(LOOKUPS_MAX + 1), patience: PATIENCE_FIRST }
    }

    pub(super) fn is_full(&self) -> bool {
        self.shares.len() >= LOOKUPS_MAX
    }

    /// How many this client has.
    pub(super) fn of(&self, client: IpAddr) -> usize {
        self.shares.of(client)
    }

    /// Asks. A name has two questions: the second may be one more than is full.
    pub(super) fn begin(
        &mut self,
        question: &Question,
        client: IpAddr,
        answer: impl Future<Output = Reply> + Send + 'static,
        now: Now,
    ) {
        let asked = question.clone();
        let task = self.tasks.spawn(async move { (asked, answer.await) });
        self.shares.admit(question.clone(), client);
        self.known.insert(question.clone(), Flight { since: now, task });
    }

    /// Gives up the oldest question of whoever has the most, for one of this client: not his own before it has had the time that answers
    /// take. Where none comes in that time, the time grows: the server may be slow.
    pub(super) fn give_up_for(&mut self, client: IpAddr, now: Now) -> Option<Question> {
        let oldest = self.shares.victim(client)?.clone();
        let flight = self.known.get(&oldest)?;
        let is_own = self.shares.holder(&oldest) == Some(client);
        if is_own && now.since(flight.since) < self.patience {
            return None;
        }
        if is_own {
            self.patience = (self.patience + self.patience / PATIENCE_PART).min(PATIENCE_MAX);
        }
        flight.task.abort();
        self.forget(&oldest);
        Some(oldest)
    }

    /// The next answer; `None` where that one was not waited for any more, or nothing is under way.
    pub(super) async fn land(&mut self) -> Option<Landed> {
        let landed = self.tasks.join_next().await;
        if landed.is_none() {
            std::future::pending::<()>().await;
        }
        self.take(landed)
    }

    /// One that is there already.
    pub(super) fn try_land(&mut self) -> Option<Option<Landed>> {
        let landed = self.tasks.try_join_next()?;
        Some(self.take(Some(landed)))
    }

    /// It has come at this time.
    pub(super) fn answered(&mut self, question: &Question, reply: &Reply, now: Now) {
        if let Some(flight) = self.known.get(question)
            && !matches!(reply, Reply::Failed(_))
        {
            let took = 4 * now.since(flight.since);
            self.patience = ((self.patience + took) / 2).clamp(PATIENCE_MIN, PATIENCE_MAX);
        }
        self.forget(question);
    }

    fn take(&mut self, landed: Option<Result<Landed, tokio::task::JoinError>>) -> Option<Landed> {
        match landed? {
            Ok(landed) => Some(landed),
            Err(error) if error.is_cancelled() => None,
            Err(error) => {
                tracing::error!(%error, "a look-up ended without an answer");
                let of_task = |flight: &Flight| flight.task.id() == error.id();
                let question = self.known.iter().find(|(_, flight)| of_task(flight))?.0.clone();
                Some((question, Reply::Failed(LookedUp::Error)))
            }
        }
    }

    fn forget(&mut self, question: &Question) {
        self.shares.remove(question);
        self.known.remove(question);
    }
}

/// Questions under way at once: each has a socket, and a server answers a question in about 1 ms, so that 64 are 64,000 a second,
/// more than any server wants from one pod.
const LOOKUPS_MAX: usize = 64;

/// A question, and what came of it.
type Landed = (Question, Reply);

/// A name that is not in a server's cache takes it some 100 ms.
const PATIENCE_FIRST: Duration = Duration::from_millis(250);

/// Fifty times what a cluster's server takes. Where one client asks for more than is answered, 64 / 50 ms = 1,280 questions a second have their chance.
pub(super) const PATIENCE_MIN: Duration = Duration::from_millis(50);
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// It doubles once all have been given up.
const PATIENCE_PART: u32 = 64;
