//! Attempts: which endpoint is next, and whether there is a next.

use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::http::response::Parts;
use svc_core::balance::{Ask, Caller, Tried};
use svc_core::endpoints::EndpointId;
use svc_core::outcome::Failure;
use svc_core::retry::{self, Again, FailedAttempt, RetryPolicy};
use svc_core::time::Now;

use super::account::Account;
use super::request::Outgoing;
use crate::client::facts::ClientInfo;
use crate::clock;
use crate::context::WorkerContext;
use crate::exchange::deadlines::within;
use crate::routing::affinity::PinMemory;
use crate::routing::resolve::ClientOrigin;
use crate::routing::route::Route;
use crate::upstream::Upstream;
use crate::upstream::outbound_proxy_header::OutboundProxyHeader;

/// Which endpoint is next, for requests, upgrades and tunnels alike: no one is tried twice.
pub(super) struct Candidates<'a> {
    /// By the snapshot in force when the next attempt is made: what is sent again goes where new requests go.
    pub(super) route: Rc<Route>,
    caller: Caller,
    context: &'a WorkerContext,
    /// When the next attempt is made, near enough: the first one needs no look at the clock.
    now: Now,
    tried: Tried,
    current: Option<EndpointId>,
    last: Option<Failure>,
}

impl<'a> Candidates<'a> {
    /// None tried yet, at `now`.
    pub(super) fn new(
        route: &Rc<Route>,
        caller: Caller,
        now: Now,
        context: &'a WorkerContext,
    ) -> Candidates<'a> {
        let (route, tried) = (route.clone(), Tried::NONE);
        Candidates { route, caller, context, now, tried, current: None, last: None }
    }

    /// The next one, which the account learns of; the last failure when there is none left. `replayable`: what is to be sent may go where it
    /// may fail; `memory` is that of the client's connection, for requests.
    pub(super) fn next(
        &mut self,
        replayable: bool,
        memory: Option<&PinMemory>,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        let ask = Ask { caller: self.caller, tried: &self.tried, replayable };
        let (endpoints, draw) = (&self.context.router.endpoints, self.context.draw());
        let picked = self.route.pick(&ask, memory, self.last, endpoints, self.now, draw)?;
        if let Some(because) = self.last {
            account.retried(because);
        }
        account.tries(picked.upstream, picked.probe, self.now);
        self.current = Some(picked.id);
        Ok(picked.upstream.clone())
    }

    /// Notes that the one which was named last failed, with what comes next going by the table of this moment. Where it `may_be_well`, it can
    /// be named again.
    ///
    /// # Errors
    /// That failure, where the Service port is gone.
    pub(super) fn failed(&mut self, failure: Failure, may_be_well: bool) -> Result<(), Failure> {
        self.now = clock::now();
        if !may_be_well {
            self.current.into_iter().for_each(|id| self.tried.insert(id));
        }
        self.last = Some(failure);
        self.route = self.context.router.renewed(&self.route).ok_or(failure)?;
        Ok(())
    }

    fn has_more(&self) -> bool {
        self.route.has_more_than(&self.tried)
    }

    fn take_from_budget(&self) -> bool {
        self.route.port.shared.budget.take(self.now)
    }

    /// What the endpoint is told of the client, where its Service asks for that.
    pub(super) fn outbound_header(&self, client: impl FnOnce() -> ClientInfo) -> Option<OutboundProxyHeader> {
        OutboundProxyHeader::of(&self.route.target, self.route.inbound.is_some(), client)
    }
}

/// What is asked of one endpoint after another.
pub(super) trait Attempting {
    type Answer;

    /// Asks one of them.
    fn ask(&self, upstream: &Rc<Upstream>) -> impl Future<Output = Result<Self::Answer, Failure>>;

    /// The head of an answer, and its gRPC status where it has nothing but headers.
    fn head<'h>(&self, answer: &'h Self::Answer) -> (&'h Parts, Option<&'h [u8]>);

    /// Lets go of an answer that another attempt replaces.
    fn discard(&self, _answer: Self::Answer) {}
}

/// The attempts at a request.
pub(crate) struct Attempts<'a> {
    candidates: Candidates<'a>,
    policy: RetryPolicy,
    origin: &'a ClientOrigin,
    context: &'a WorkerContext,
    sent: u32,
    unprocessed: u32,
}

impl<'a> Attempts<'a> {
    /// None yet, of a request that began at `begun`.
    pub(crate) fn new(
        route: &Rc<Route>,
        caller: Caller,
        origin: &'a ClientOrigin,
        begun: Now,
        context: &'a WorkerContext,
    ) -> Attempts<'a> {
        route.port.shared.budget.offered(begun);
        let candidates = Candidates::new(route, caller, begun, context);
        let policy = route.target.service.handling.retry;
        Attempts { candidates, policy, origin, context, sent: 0, unprocessed: 0 }
    }

    /// Asks one endpoint after another, each for no longer than `per_try`, until one answers or none may be tried any more.
    pub(super) async fn answer<A: Attempting>(
        &mut self,
        attempting: &A,
        outgoing: &Outgoing<'_>,
        per_try: Option<Duration>,
        account: &mut Account,
    ) -> Result<(A::Answer, Rc<Upstream>), Failure> {
        let mut upstream = self.begin(outgoing, account)?;
        loop {
            let answered = {
                let asking = pin!(attempting.ask(&upstream));
                let asked = within(per_try, Failure::ResponseTimeout, asking).await;
                asked.map_err(|failure| outgoing.blame(failure))
            };
            let failure = match &answered {
                Ok(answer) if self.minds(attempting, answer) => {
                    account.hears(attempting.head(answer).0); // it may be the last that is heard of it
                    Failure::GatewayError
                }
                Ok(_) => return answered.map(|answer| (answer, upstream)),
                Err(failure) => *failure,
            };
            let Ok(next) = self.next(failure, outgoing, &upstream, account) else {
                return answered.map(|answer| (answer, upstream));
            };
            if let Ok(answer) = answered {
                attempting.discard(answer);
            }
            upstream = next;
        }
    }

    /// Begins an attempt: its endpoint, or why there is none.
    pub(super) fn begin(
        &mut self,
        outgoing: &Outgoing<'_>,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        // Who has failed once is not sent where it may fail again.
        // Nor who has a body, which may come as slowly as its client likes, while nobody else finds out.
        let replayable = self.candidates.last.is_none() && outgoing.idempotent && outgoing.body.is_none();
        let upstream = self.candidates.next(replayable, Some(&self.origin.memory), account)?;
        Ok(match self.candidates.outbound_header(|| self.origin.client_info()) {
            None => upstream,
            Some(outbound_header) => self.origin.own.upstream(&upstream, outbound_header),
        })
    }

    /// Whether an answer is worth another attempt. Few Services ask for it: the others need no look at the headers.
    fn minds<A: Attempting>(&self, attempting: &A, answer: &A::Answer) -> bool {
        self.policy.gateway_error && {
            let (head, grpc_status) = attempting.head(answer);
            retry::is_gateway_error(head.status.as_u16(), grpc_status)
        }
    }

    /// Takes note of a failure at `upstream`: the endpoint to try next; the failure when there is to be no further attempt.
    fn next(
        &mut self,
        failure: Failure,
        outgoing: &Outgoing<'_>,
        upstream: &Upstream,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        let is_unprocessed = failure == Failure::Unprocessed;
        if is_unprocessed {
            self.unprocessed += 1;
            upstream.forget_idle(); // the endpoint is well: only the connection was old
        } else {
            self.sent += u32::from(!failure.is_connect());
        }
        self.candidates.failed(failure, is_unprocessed)?;
        self.again(failure, outgoing)?;
        self.begin(outgoing, account)
    }

    fn again(&self, failure: Failure, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        let attempt = FailedAttempt {
            sent: self.sent,
            unprocessed: self.unprocessed,
            // A Service that asks for gRPC's UNAVAILABLE to be tried again means its calls, all of which are POST.
            idempotent: outgoing.idempotent || (outgoing.grpc && failure == Failure::GatewayError),
            body_whole: outgoing.body_is_whole(),
        };
        match retry::again(failure, attempt, self.policy) {
            Again::Free | Again::FromBudget if !self.candidates.has_more() => Err(failure),
            Again::Free => Ok(()),
            Again::FromBudget if self.candidates.take_from_budget() => Ok(()),
            Again::FromBudget => {
                self.context.recorder.metrics.retry_budget_exhausted.fetch_add(1, Relaxed);
                Err(failure)
            }
            Again::No => Err(failure),
        }
    }
}
