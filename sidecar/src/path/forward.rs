//! One exchange: a client's request to an endpoint, and its response back.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header;
use hyper::http::response::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use svc_core::balance::{Ask, Caller, Tried, Unit};
use svc_core::endpoints::EndpointId;
use svc_core::outcome::Failure;
use svc_core::protocol::Hint;
use svc_core::retry::{self, Again, Attempt};
use svc_core::time::Now;

use super::account::{Account, Details};
use super::body::{ResponseBody, Source};
use super::mesh::Mesh;
use super::request::{self, Outgoing, is_plainly_framed, strip_hop};
use super::request_body::RequestBody;
use super::resolve::{Origin, Routed};
use super::respond::{self, Dialect};
use super::route::{Route, Turn};
use super::upgrade;
use super::upstream::Upstream;
use super::websocket;
use crate::clock;
use crate::metrics::Protocol;

/// Carries one request to an endpoint and its response back. Whatever happens, the client gets an answer and the account a record.
pub(crate) async fn exchange(
    request: Request<Incoming>,
    origin: Rc<Origin>,
    mesh: Rc<Mesh>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (origin, mesh) = (&*origin, &mesh);
    let dialect = Dialect::of(request.version(), request.headers());
    let mut account = Account::open(mesh, origin.client.0, protocol(&request, dialect));
    account.set_details(|| Details::of(&request));
    if websocket::is_wanted(&request) {
        return Ok(Box::pin(websocket::exchange(request, origin, mesh, account)).await);
    }
    if request.method() == Method::CONNECT {
        return Ok(Box::pin(upgrade::connect(request, origin, mesh, account)).await);
    }
    if let Some(wanted) = upgrade::wanted(&request) {
        return Ok(Box::pin(upgrade::exchange(request, wanted, origin, mesh, account)).await);
    }
    let routed = origin.route(&request, mesh).await;
    let prepared = routed.and_then(|routed| Prepared::new(request, routed, dialect, origin, &mut account));
    let answered = match prepared {
        Ok(prepared) => {
            let limit = mesh.config.deadlines.request.map(|limit| limit.saturating_sub(prepared.waited));
            let carrying = pin!(carry(&prepared, mesh, &mut account));
            within(limit, carrying).await
        }
        Err(failure) => Err(failure),
    };
    Ok(match answered {
        Ok(answer) => answer.into_response(origin, account),
        Err(failure) => respond::failure(failure, dialect, account, origin.pulse.clone()),
    })
}

/// A request with its way. Made without waiting, so that no future holds the client's request beside ours.
struct Prepared {
    /// How much of its time is gone.
    waited: Duration,
    route: Rc<Route>,
    caller: Caller,
    version: Version,
    outgoing: Outgoing,
}

impl Prepared {
    fn new(
        request: Request<Incoming>,
        routed: Routed,
        dialect: Dialect,
        origin: &Origin,
        account: &mut Account,
    ) -> Result<Prepared, Failure> {
        let Routed { route, authority, waited } = routed;
        account.serves(&route.port.label);
        let version = endpoint_version(&route, request.version(), dialect);
        let outgoing = Outgoing::new(request, authority, origin)?;
        Ok(Prepared { waited, caller: origin.caller(&route), route, version, outgoing })
    }
}

/// Sends the request to one endpoint after another, until one answers or none may be tried any more.
async fn carry(prepared: &Prepared, mesh: &Rc<Mesh>, account: &mut Account) -> Result<Answer, Failure> {
    let Prepared { waited: _, route, caller, version, outgoing } = prepared;
    let mut attempts = Attempts::new(route, *caller, account.begun, mesh);
    loop {
        let upstream = attempts.next(outgoing, account)?;
        let forwarding = pin!(forward(outgoing, *version, &upstream, mesh));
        match within(mesh.config.deadlines.per_try, forwarding).await {
            Ok(answer) => {
                outgoing.settle();
                return Ok(answer);
            }
            Err(failure) => attempts.failed(failure, outgoing, &upstream)?,
        }
        account.retried(attempts.last.expect("an attempt has just failed"));
    }
}

/// The endpoints that a request has been tried on.
pub(crate) struct Attempts<'a> {
    /// By the snapshot in force when the next attempt is made: what is sent again goes where new requests go.
    route: Rc<Route>,
    caller: Caller,
    /// When the next attempt is made, near enough: the first one needs no look at the clock.
    now: Now,
    mesh: &'a Mesh,
    tried: Tried,
    sent: u32,
    unprocessed: u32,
    current: Option<EndpointId>,
    pub(crate) last: Option<Failure>,
}

impl<'a> Attempts<'a> {
    /// None yet, of a request that began at `begun`.
    pub(crate) fn new(route: &Rc<Route>, caller: Caller, begun: Now, mesh: &'a Mesh) -> Attempts<'a> {
        route.port.shared.budget.offered(begun);
        Attempts {
            route: route.clone(),
            caller,
            now: begun,
            mesh,
            tried: Tried::NONE,
            sent: 0,
            unprocessed: 0,
            current: None,
            last: None,
        }
    }

    /// The endpoint to try next, or why there is none.
    pub(crate) fn next(
        &mut self,
        outgoing: &Outgoing,
        account: &mut Account,
    ) -> Result<Rc<Upstream>, Failure> {
        // Who has failed once is not sent where it may fail again.
        let replayable = self.last.is_none() && outgoing.idempotent && outgoing.body_is_whole();
        let ask = Ask { caller: self.caller, tried: &self.tried, replayable };
        let turn = self.route.pick(Unit::Request, &ask, self.last, self.mesh, self.now)?;
        let Turn { id, upstream, probe } = turn;
        self.current = Some(id);
        account.tries(upstream, probe, self.now);
        Ok(upstream.clone())
    }

    /// Takes note of a failure; an error when the request must not be tried again.
    pub(crate) fn failed(
        &mut self,
        failure: Failure,
        outgoing: &Outgoing,
        upstream: &Upstream,
    ) -> Result<(), Failure> {
        self.now = clock::now();
        if failure == Failure::Unprocessed {
            self.unprocessed += 1;
        } else if !failure.is_connect() {
            self.sent += 1;
        }
        self.again(failure, outgoing)?;
        self.route = self.mesh.renewed(&self.route).ok_or(failure)?;
        self.last = Some(failure);
        match (failure, self.current) {
            // The endpoint is well: only the connection was old.
            (Failure::Unprocessed, _) => upstream.forget_idle(),
            (_, Some(id)) => self.tried.insert(id),
            (_, None) => {}
        }
        Ok(())
    }

    fn again(&self, failure: Failure, outgoing: &Outgoing) -> Result<(), Failure> {
        let attempt = Attempt {
            sent: self.sent,
            unprocessed: self.unprocessed,
            idempotent: outgoing.idempotent,
            body_whole: outgoing.body_is_whole(),
        };
        match retry::again(failure, attempt) {
            Again::Free => Ok(()),
            Again::FromBudget if self.route.port.shared.budget.take(self.now) => Ok(()),
            Again::FromBudget => {
                self.mesh.metrics.retry_budget_exhausted.fetch_add(1, Relaxed);
                Err(failure)
            }
            Again::No => Err(failure),
        }
    }
}

/// An endpoint's answer, so far its head.
struct Answer {
    head: Parts,
    source: Source,
    request: Option<Rc<RequestBody>>,
}

impl Answer {
    fn into_response(self, origin: &Origin, mut account: Account) -> Response<ResponseBody> {
        account.hears(&self.head);
        account.answered(self.head.status.as_u16());
        let body = ResponseBody::new(self.source, self.request, account, origin.pulse.clone());
        Response::from_parts(self.head, body)
    }
}

/// Sends the request to one endpoint and waits for the head of its response.
async fn forward(
    outgoing: &Outgoing,
    version: Version,
    upstream: &Rc<Upstream>,
    mesh: &Mesh,
) -> Result<Answer, Failure> {
    let (head, source) = if version == Version::HTTP_2 {
        let mut slot = Box::pin(upstream.stream(mesh)).await?;
        let (head, incoming) = take_apart(slot.send(outgoing.http2()?).await?)?;
        (head, Source::Http2 { incoming, slot })
    } else {
        let idle = std::future::poll_fn(|cx| Poll::Ready(upstream.take_idle(cx))).await;
        let mut connection = match idle {
            Some(connection) => connection,
            None => Box::pin(upstream.open_http1(mesh)).await?, // rare: not part of every request's future
        };
        let (head, incoming) = take_apart(connection.send(outgoing.http1()?).await?)?;
        let connection = match incoming.is_end_stream() {
            false => Some(connection),
            true => {
                upstream.give_back(connection, &mut Context::from_waker(Waker::noop()));
                None
            }
        };
        (head, Source::Http1 { incoming, connection, upstream: upstream.clone() })
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::BadResponse); // nobody asked for it (RFC 9110 §15.2.2)
    }
    Ok(Answer { head, source, request: outgoing.body.clone() })
}

/// Takes a response apart: a head without what belonged to the endpoint's hop, and a body that one thing tells the end of.
pub(crate) fn take_apart(response: Response<Incoming>) -> Result<(Parts, Incoming), Failure> {
    let (mut head, incoming) = response.into_parts();
    if !is_plainly_framed(&head.headers, &incoming) {
        return Err(Failure::BadResponse);
    }
    if incoming.size_hint().exact().is_none() {
        head.headers.remove(header::CONTENT_LENGTH); // overridden by the chunks that it came with (RFC 9112 §6.3)
    }
    head.version = Version::HTTP_11; // what hyper's server makes its own of; an HTTP/1.0 endpoint does not make us one
    strip_hop(&mut head.headers);
    Ok((head, incoming))
}

/// The version that endpoints of this route are spoken to in: what the port declares, else the client's own.
fn endpoint_version(route: &Route, client: Version, dialect: Dialect) -> Version {
    match route.hint {
        Hint::Http2 => Version::HTTP_2,
        Hint::Http1 if dialect == Dialect::Grpc => Version::HTTP_2,
        Hint::Http1 => Version::HTTP_11,
        Hint::Http | Hint::Unknown | Hint::Opaque if client == Version::HTTP_2 => Version::HTTP_2,
        Hint::Http | Hint::Unknown | Hint::Opaque => Version::HTTP_11,
    }
}

fn protocol(request: &Request<Incoming>, dialect: Dialect) -> Protocol {
    match (dialect, request.version()) {
        (Dialect::Grpc, _) => Protocol::Grpc,
        (Dialect::Http, Version::HTTP_2) => Protocol::Http2,
        (Dialect::Http, _) => Protocol::Http1,
    }
}

impl Details {
    fn of(request: &Request<Incoming>) -> Details {
        let host = request::authority(request).ok();
        Details {
            method: request.method().clone(),
            path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            host: host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()).unwrap_or_default(),
        }
    }
}

/// Waits no longer than `limit`, if there is one. Takes the future pinned where it is, so that it is not held twice.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    future: Pin<&mut impl Future<Output = Result<T, Failure>>>,
) -> Result<T, Failure> {
    match limit {
        None => future.await,
        Some(limit) => tokio::time::timeout(limit, future).await.unwrap_or(Err(Failure::ResponseTimeout)),
    }
}
