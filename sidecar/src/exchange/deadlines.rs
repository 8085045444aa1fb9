//! How long a request may take.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use hyper::HeaderMap;
use svc_core::grpc_timeout;
use svc_core::outcome::Failure;
use svc_core::time::Now;

use crate::context::WorkerContext;
use crate::http::dialect::Dialect;
use crate::http::headers::GRPC_TIMEOUT;
use crate::routing::route::Route;

/// How long a request may take; `None` is for ever, and has no timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestDeadlines {
    /// With all its tries, up to the last byte of the response.
    pub(crate) whole: Option<Duration>,
    /// One try, up to the head of the response.
    pub(crate) per_try: Option<Duration>,
    /// What it is when `whole` is over: the endpoint's failure, unless the client chose how long it waits.
    pub(crate) late: Failure,
}

/// When an answer has to have ended, and what it is if it has not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Now,
    pub(crate) late: Failure,
}

impl RequestDeadlines {
    /// What the Service of `route` says, else the flags.
    pub(crate) fn of(route: &Route, context: &WorkerContext) -> RequestDeadlines {
        let (handling, flags) = (&route.target.service.handling, &context.config.deadlines);
        let limit = |asked: Option<Duration>, flag| match asked {
            Some(Duration::ZERO) => None,
            Some(limit) => Some(limit),
            None => flag,
        };
        RequestDeadlines {
            whole: limit(handling.timeout, flags.request),
            per_try: limit(handling.try_timeout, flags.per_try),
            late: Failure::ResponseTimeout,
        }
    }

    /// How long an endpoint may take, as long as no client has been heeded.
    pub(crate) fn patience(&self) -> Option<Duration> {
        [self.whole, self.per_try].into_iter().flatten().min()
    }

    /// No longer than the client of a gRPC call waits; true when it says how long that is.
    pub(crate) fn heed_client(&mut self, dialect: Dialect, headers: &HeaderMap) -> bool {
        if dialect != Dialect::Grpc {
            return false;
        }
        let told = headers.get(GRPC_TIMEOUT).and_then(|value| grpc_timeout::parse(value.as_bytes()));
        let Some(told) = told else { return false };
        if self.whole.is_none_or(|whole| told < whole) {
            (self.whole, self.late) = (Some(told), Failure::ClientDeadline);
        }
        true
    }

    /// When a request that began at `begun` has to have its answer.
    pub(crate) fn deadline(&self, begun: Now) -> Option<Deadline> {
        // By then the answer has begun.
        let late = if self.late == Failure::ResponseTimeout { Failure::Overdue } else { self.late };
        self.whole.map(|whole| Deadline { at: Now(begun.0.saturating_add(whole)), late })
    }
}

/// Waits no longer than `limit`, if there is one; then it is `late`. Takes the future pinned where it is, so that it is not held twice; the timer is boxed, for
/// few have one, and each idle connection keeps the place of its next exchange.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    late: Failure,
    future: Pin<&mut impl Future<Output = Result<T, Failure>>>,
) -> Result<T, Failure> {
    match limit {
        None => future.await,
        Some(limit) => Box::pin(crate::clock::timeout(limit, future)).await.unwrap_or(Err(late)),
    }
}
