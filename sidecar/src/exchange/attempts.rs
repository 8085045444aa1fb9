//! The attempts at one request: which endpoint is next, and whether there is a next.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use svc_core::balance::{Ask, Caller, Tried};
use svc_core::endpoints::EndpointId;
use svc_core::outcome::Failure;
use svc_core::retry::{self, Again, Attempt, RetryPolicy};
use svc_core::time::Now;

use super::account::Account;
use super::request::Outgoing;
use crate::clock;
use crate::context::WorkerContext;
use crate::routing::resolve::ClientOrigin;
use crate::routing::route::{Picked, Route};
use crate::upstream::Upstream;
use crate::upstream::outbound_proxy_header::OutboundProxyHeader;

/// The endpoints that a request has been tried on.
pub(crate) struct Attempts<'a> {
    /// By the snapshot in force when the next attempt is made: what is sent again goes where new requests go.
    route: Rc<Route>,
    policy: RetryPolicy,
    caller: Caller,
    origin: &'a ClientOrigin,
    /// When the next attempt is made, near enough: the first one needs no look at the clock.
    now: Now,
    context: &'a WorkerContext,
    tried: Tried,
    sent: u32,
    unprocessed: u32,
    current: Option<EndpointId>,
    last: Option<Failure>,
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
        Attempts {
            route: route.clone(),
            policy: route.target.service.handling.retry,
            caller,
            origin,
            now: begun,
            context,
            tried: Tried::NONE,
            sent: 0,
            unprocessed: 0,
            current: None,
            last: None,
        }
    }

    /// Begins an attempt: its endpoint, or why there is none.
    pub(crate) fn begin(
        &mut self,
        outgoing: &Outgoing<'_>,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        let Picked { id, upstream, probe, .. } = self.pick(outgoing)?;
        if let Some(because) = self.last {
            account.retried(because);
        }
        account.tries(upstream, probe, self.now);
        let upstream = match OutboundProxyHeader::of(&self.route.target, self.route.inbound.is_some(), || {
            self.origin.client_info()
        }) {
            None => upstream.clone(),
            Some(outbound_header) => self.origin.own.upstream(upstream, outbound_header),
        };
        self.current = Some(id);
        Ok(upstream)
    }

    fn pick(&self, outgoing: &Outgoing<'_>) -> Result<Picked<'_>, Failure> {
        // Who has failed once is not sent where it may fail again.
        // Nor who has a body, which may come as slowly as its client likes, while nobody else finds out.
        let replayable = self.last.is_none() && outgoing.idempotent && outgoing.body.is_none();
        let ask = Ask { caller: self.caller, tried: &self.tried, replayable };
        let endpoints = &self.context.router.endpoints;
        let (memory, draw) = (Some(&self.origin.memory), self.context.draw());
        self.route.pick(&ask, memory, self.last, endpoints, self.now, draw)
    }

    /// Whether an answer with this head may be worth another attempt.
    pub(crate) fn minds<'h>(&self, status: u16, grpc_status: impl FnOnce() -> Option<&'h [u8]>) -> bool {
        self.policy.gateway_error && retry::is_gateway_error(status, grpc_status())
    }

    /// Takes note of a failure at `upstream`: the endpoint to try next; the failure when there is to be no further attempt.
    pub(crate) fn next(
        &mut self,
        failure: Failure,
        outgoing: &Outgoing<'_>,
        upstream: &Upstream,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        self.now = clock::now();
        if failure == Failure::Unprocessed {
            self.unprocessed += 1;
            upstream.forget_idle(); // the endpoint is well: only the connection was old
        } else {
            self.sent += u32::from(!failure.is_connect());
            self.current.into_iter().for_each(|id| self.tried.insert(id));
        }
        self.last = Some(failure);
        self.route = self.context.router.renewed(&self.route).ok_or(failure)?;
        self.again(failure, outgoing)?;
        self.begin(outgoing, account)
    }

    fn again(&self, failure: Failure, outgoing: &Outgoing<'_>) -> Result<(), Failure> {
        let attempt = Attempt {
            sent: self.sent,
            unprocessed: self.unprocessed,
            // A Service that asks for gRPC's UNAVAILABLE to be tried again means its calls, all of which are POST.
            idempotent: outgoing.idempotent || (outgoing.grpc && failure == Failure::GatewayError),
            body_whole: outgoing.body_is_whole(),
        };
        match retry::again(failure, attempt, self.policy) {
            Again::Free | Again::FromBudget if !self.route.has_more_than(&self.tried) => Err(failure),
            Again::Free => Ok(()),
            Again::FromBudget if self.route.port.shared.budget.take(self.now) => Ok(()),
            Again::FromBudget => {
                self.context.recorder.metrics.retry_budget_exhausted.fetch_add(1, Relaxed);
                Err(failure)
            }
            Again::No => Err(failure),
        }
    }
}
