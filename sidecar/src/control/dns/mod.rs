//! The source `dns`: asks for the names that somebody wants, and keeps what it learned for as long as somebody uses it.

mod book;
mod known;
mod message;
mod resolv_conf;
mod served;
mod server;
mod servers;
mod stub;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use svc_core::discovery::answer::{Kind, Record};
use svc_core::discovery::names::SearchPath;
use svc_core::inventory::Change;
use svc_core::outcome::Failure;
use svc_core::time::Now;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::metrics::{LookedUp, Metrics};
use crate::wanted::{Want, Wanted};
pub(crate) use book::Book;
pub(crate) use served::Cluster;
pub(crate) use stub::Stub;

/// Asks DNS.
pub(crate) trait Resolver {
    /// The answer to one question: comes within a bounded time.
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static;
}

/// What is asked: the records of one type of one name, which is absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Question {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
}

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// At least one record, kept for `lifetime`. `aliased`: they belong to another name.
    Found { records: Vec<Record>, lifetime: Duration, aliased: bool },
    /// There is no such record; where the name does not exist there is no other either.
    Denied { lifetime: Option<Duration>, exists: bool },
    /// Its aliases lead nowhere, for this reason.
    Nowhere(Failure),
    /// It could not say.
    Failed(LookedUp),
}

/// The source.
pub(crate) struct Dns<R> {
    resolver: R,
    book: Book,
    flying: JoinSet<(Question, Reply)>,
    wanted: Arc<Wanted>,
    metrics: Arc<Metrics>,
    /// The origin of this source's time: tokio's clock, which tests can move.
    origin: Instant,
    /// What is to be told once the table is out.
    untold: Vec<(Want, Result<(), Failure>)>,
}

impl<R: Resolver> Dns<R> {
    pub(crate) fn new(resolver: R, book: Book, wanted: Arc<Wanted>, metrics: Arc<Metrics>) -> Dns<R> {
        wanted.attend();
        let (flying, origin) = (JoinSet::new(), Instant::now());
        Dns { resolver, book, flying, wanted, metrics, origin, untold: Vec::new() }
    }

    /// The next news. They must be in force when this is called again, for then those who wait for them are told. May be dropped
    /// at any time.
    pub(crate) async fn next(&mut self) -> Vec<Change> {
        loop {
            for (want, outcome) in self.untold.drain(..) {
                self.wanted.settle(&want, outcome);
            }
            self.look();
            let news = self.book.news(self.now());
            self.untold = news.settled;
            if !news.changes.is_empty() {
                return news.changes;
            }
            if self.untold.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Asks from now on as another resolv.conf says. What is known stays in force.
    pub(crate) fn replace(&mut self, resolver: R, search: SearchPath) {
        self.resolver = resolver;
        self.book.search(search);
    }

    /// Hears who wants what, and asks what is due.
    fn look(&mut self) {
        let now = self.now();
        for want in self.wanted.take_asked() {
            self.book.want(want, now);
        }
        self.book.note_use(&self.wanted.take_used(), now);
        let room = LOOKUPS_MAX.saturating_sub(self.flying.len());
        for question in self.book.due(room, now) {
            let answer = self.resolver.ask(question.clone());
            self.flying.spawn(async move { (question, answer.await) });
        }
    }

    async fn wait(&mut self) {
        // While no more may fly, only a landing makes a difference.
        let wake = (self.flying.len() < LOOKUPS_MAX).then(|| self.book.wake()).flatten();
        let wake = wake.map(|at| self.origin + at.0);
        tokio::select! {
            () = self.wanted.asked() => {}
            Some(landed) = self.flying.join_next() => {
                self.land(landed);
                while let Some(landed) = self.flying.try_join_next() {
                    self.land(landed);
                }
            }
            () = sleep_until(wake.unwrap_or(self.origin)), if wake.is_some() => {}
        }
    }

    fn land(&mut self, landed: Result<(Question, Reply), JoinError>) {
        match landed {
            Ok((question, reply)) => self.hear(&question, reply),
            Err(error) => tracing::error!(%error, "a look-up ended without an answer"),
        }
    }

    fn hear(&mut self, question: &Question, reply: Reply) {
        tracing::debug!(name = %question.name, kind = ?question.kind, ?reply, "DNS answered");
        if self.book.hear(question, reply, self.now()) == Heard::ServesOn {
            self.metrics.dns_stale_answers.fetch_add(1, Relaxed);
        }
    }

    fn now(&self) -> Now {
        Now(self.origin.elapsed())
    }
}

/// What a reply means for those who use the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It counts.
    Answer,
    /// It is none, and there is one from before.
    ServesOn,
    /// It is none.
    Nothing,
}

/// Questions under way at once: each has a socket, and a server answers a question in about 1 ms, so that 64 are 64,000 a second,
/// more than any server wants from one pod.
const LOOKUPS_MAX: usize = 64;
