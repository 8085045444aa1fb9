//! The source `dns`: asks for the names that somebody wants, and keeps what it learned for as long as somebody uses it.

mod cache;
mod cache_entry;
mod flights;
mod interests;
mod message;
mod names;
mod question;
mod resolv_conf;
mod served;
mod server;
mod servers;
mod source;
mod stub;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use svc_core::dns::names::SearchPath;
use svc_core::inventory::Change;
use svc_core::time::Now;

use crate::clock::{Instant, sleep_until};
use crate::metrics::{LookedUp, Metrics};
use crate::shared::interest::{DnsInterest, LookupOutcome, OnDemandLookup};

use flights::Flights;
use question::ReplyMeaning;

pub(crate) use cache::DnsCache;
pub(crate) use question::{Question, Reply};
pub(crate) use served::Cluster;
pub(crate) use source::NameServers;
pub(crate) use stub::Stub;

/// Asks DNS.
pub(crate) trait Resolver {
    /// The answer to one question: comes within a bounded time.
    fn ask(&self, question: Question) -> impl Future<Output = Reply> + Send + 'static;
}

/// The source.
pub(crate) struct DnsSource<R> {
    resolver: R,
    book: DnsCache,
    flights: Flights,
    wanted: Arc<DnsInterest>,
    metrics: Arc<Metrics>,
    /// The origin of this source's time: tokio's clock, which tests can move.
    origin: Instant,
    /// What is to be told once the table is out.
    untold: Vec<(OnDemandLookup, LookupOutcome)>,
}

impl<R: Resolver> DnsSource<R> {
    pub(crate) fn new(
        resolver: R,
        book: DnsCache,
        wanted: Arc<DnsInterest>,
        metrics: Arc<Metrics>,
    ) -> DnsSource<R> {
        wanted.attend();
        let (flights, origin) = (Flights::new(), Instant::now());
        DnsSource { resolver, book, flights, wanted, metrics, origin, untold: Vec::new() }
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
            self.ask();
            self.untold = news.settled;
            if !news.changes.is_empty() {
                return news.changes;
            }
            if self.untold.is_empty() && !self.book.names().has_changed() {
                self.wait().await;
            }
        }
    }

    /// Asks from now on as another resolv.conf says. What is known stays in force.
    pub(crate) fn replace(&mut self, resolver: R, search: SearchPath) {
        self.resolver = resolver;
        self.book.search(search, self.now());
    }

    /// Hears who wants what, and asks what is due.
    fn look(&mut self) {
        let now = self.now();
        let (asked, dropped) = self.wanted.take_asked();
        dropped.iter().for_each(|want| self.book.drop_want(want));
        asked.into_iter().for_each(|(want, client)| self.book.want(want, client, now));
        self.book.note_use(&self.wanted.take_used(), now);
    }

    /// Asks what is due: first what somebody waits for who has the fewest questions under way.
    fn ask(&mut self) {
        let now = self.now();
        while let Some(client) = self.book.names().next_client(|client| self.flights.of(client)) {
            if self.flights.is_full() {
                let Some(given_up) = self.flights.give_up_for(client, now) else { return };
                self.hear(&given_up, Reply::Failed(LookedUp::Timeout));
            }
            let questions = self.book.names().take_fresh(client, now);
            self.begin(client, &questions, now);
        }
        while !self.flights.is_full()
            && let Some((client, questions)) = self.book.names().take_due(now)
        {
            self.begin(client, &questions, now);
        }
    }

    fn begin(&mut self, client: IpAddr, questions: &[Question], now: Now) {
        for question in questions {
            self.flights.begin(question, client, self.resolver.ask(question.clone()), now);
        }
    }

    async fn wait(&mut self) {
        let wake = self.book.wake(self.flights.is_full(), self.now());
        let wake = wake.map(|at| self.origin + at.0);
        tokio::select! {
            () = self.wanted.asked() => {}
            landed = self.flights.land() => {
                let mut next = Some(landed);
                while let Some(landed) = next {
                    if let Some((question, reply)) = landed {
                        self.flights.answered(&question, &reply, self.now());
                        self.hear(&question, reply);
                    }
                    next = self.flights.try_land();
                }
            }
            () = sleep_until(wake.unwrap_or(self.origin)), if wake.is_some() => {}
        }
    }

    fn hear(&mut self, question: &Question, reply: Reply) {
        tracing::debug!(name = %question.name, kind = ?question.kind, ?reply, "DNS answered");
        if self.book.hear(question, reply, self.now()) == ReplyMeaning::ServesOn {
            self.metrics.dns_stale_answers.fetch_add(1, Relaxed);
        }
    }

    fn now(&self) -> Now {
        Now(self.origin.elapsed())
    }
}
