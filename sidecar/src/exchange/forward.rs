//! One exchange: a client's request to an endpoint, and its response back.

use std::convert::Infallible;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::ext::ReasonPhrase;
use hyper::header::{self, HeaderValue};
use hyper::http::response::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Version};
use svc_core::balance::Caller;
use svc_core::outcome::Failure;
use svc_core::protocol::ProtocolHint;
use svc_core::stats::GRPC_STATUS;

use super::account::Account;
use super::attempts::{Attempting, Attempts};
use super::body::{BodySource, ResponseBody};
use super::deadlines::{Deadline, RequestDeadlines, within};
use super::request::Outgoing;
use super::{hops, provenance, respond, upgrade, websocket};
use crate::access_log::RequestDetails;
use crate::client::facts::{Destination, Scheme};
use crate::context::WorkerContext;
use crate::http::authority::{self, without_userinfo};
use crate::http::client_body::ClientBody;
use crate::http::dialect::Dialect;
use crate::http::headers::{strip_hop, strip_length};
use crate::http::limits::exceeded_by;
use crate::metrics::Protocol;
use crate::metrics::floods::Flood;
use crate::routing::resolve::{ClientOrigin, Routed};
use crate::routing::route::Route;
use crate::upstream::rewrite::ClientAuthority;
use crate::upstream::{self, Answered, Upstream};

/// Carries one request to an endpoint and its response back. Whatever happens, the client gets an answer and the account a record.
///
/// The body is made what the connection sends by `turned`, here and not by the caller, whose future would hold this one twice.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold the request twice, a block holds it once"
)]
pub(crate) fn exchange<B>(
    mut request: Request<ClientBody>,
    origin: Rc<ClientOrigin>,
    context: Rc<WorkerContext>,
    turned: fn(ResponseBody, &ClientOrigin) -> B,
) -> impl Future<Output = Result<Response<B>, Infallible>> {
    async move {
        let (origin, context) = (&*origin, &context);
        let dialect = Dialect::of(request.version(), request.headers());
        let mut account = Account::open(context, origin.arrival, protocol(&request, dialect));
        if let Some((pulse, refused)) =
            origin.pulse.as_ref().and_then(|pulse| pulse.turns.refused().map(|refused| (pulse, refused)))
        {
            pulse.asked(true); // where its request ends is not known
            account.set_details(|| refused.details());
            let failure = refused.rule.failure();
            Flood::behind(failure).into_iter().for_each(|flood| context.recorder.metrics.flooded(flood));
            let answer = respond::failure(failure, dialect, account, origin.pulse.clone());
            return Ok(answer.map(|body| turned(body, origin)));
        }
        account.set_details(|| RequestDetails::of(&request));
        let answered = |answer: Response<ResponseBody>| Ok(answer.map(|body| turned(body, origin)));
        if is_too_large(&request) {
            context.recorder.metrics.flooded(Flood::LongHead);
            return answered(respond::failure(Failure::HeadTooLarge, dialect, account, origin.pulse.clone()));
        }
        if let ControlFlow::Break(ended) = hops::spend(&mut request) {
            return answered(match ended {
                Ok(()) => respond::here(account, origin.pulse.clone()),
                Err(failure) => respond::failure(failure, dialect, account, origin.pulse.clone()),
            });
        }
        if websocket::is_wanted(&request) {
            return answered(Box::pin(websocket::exchange(request, origin, context, account)).await);
        }
        if request.method() == Method::CONNECT {
            return answered(Box::pin(upgrade::connect(request, origin, context, account)).await);
        }
        if let Some(wanted) = upgrade::wanted(&request) {
            return answered(Box::pin(upgrade::exchange(request, wanted, origin, context, account)).await);
        }
        let routed = origin.route(&request, &context.router).await;
        let prepared = match routed
            .and_then(|routed| Prepared::new(request, routed, dialect, origin, context, &mut account))
        {
            Ok(prepared) => prepared,
            Err(failure) => {
                return answered(respond::failure(failure, dialect, account, origin.pulse.clone()));
            }
        };
        let left = prepared.limits.whole.map(|whole| whole.saturating_sub(prepared.waited));
        let carried = {
            let carrying = pin!(carry(&prepared, context, &mut account));
            within(left, prepared.limits.late, carrying).await
        };
        answered(match carried {
            Ok(answer) => {
                let deadline = prepared.limits.deadline(account.begun);
                answer.into_response(origin, account, deadline)
            }
            Err(failure) => respond::failure(failure, dialect, account, origin.pulse.clone()),
        })
    }
}

/// Whether a head of HTTP/2 is larger than any may be. Those of HTTP/1 have been held to that before.
fn is_too_large(request: &Request<ClientBody>) -> bool {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    request.version() == Version::HTTP_2 && exceeded_by(request.headers(), path + authority)
}

/// A request with its way. Made without waiting, so that no future holds the client's request beside ours.
struct Prepared<'o> {
    origin: &'o ClientOrigin,
    /// How much of its time is gone.
    waited: Duration,
    route: Rc<Route>,
    caller: Caller,
    wanted: WantedVersion,
    limits: RequestDeadlines,
    outgoing: Outgoing<'o>,
}

impl<'o> Prepared<'o> {
    fn new(
        request: Request<ClientBody>,
        routed: Routed,
        dialect: Dialect,
        origin: &'o ClientOrigin,
        context: &WorkerContext,
        account: &mut Account,
    ) -> Result<Prepared<'o>, Failure> {
        let Routed { route, authority, form, waited } = routed;
        account.serves(&route.port.label);
        let wanted = endpoint_version(&route, request.version(), origin.arrival.scheme, dialect);
        let mut limits = RequestDeadlines::of(&route, context);
        let patience = limits.patience();
        let client_waits = limits.heed_client(dialect, request.headers());
        let caller = origin.caller(&route, request.headers(), &context.router);
        let mut outgoing = Outgoing::new(request, authority, form, caller.client, origin)?;
        account.uploads(outgoing.body.as_ref());
        outgoing.grpc = dialect == Dialect::Grpc;
        outgoing.deadline = limits.deadline(account.begun).map(|deadline| deadline.at);
        outgoing.tells_deadline = client_waits;
        account.waits(patience, client_waits);
        Ok(Prepared { origin, waited, route, caller, wanted, limits, outgoing })
    }
}

/// Sends the request to one endpoint after another, until one answers or none may be tried any more.
async fn carry(
    prepared: &Prepared<'_>,
    context: &Rc<WorkerContext>,
    account: &mut Account,
) -> Result<ForwardedAnswer, Failure> {
    let Prepared { origin, waited: _, route, caller, wanted, limits, outgoing } = prepared;
    let mut attempts = Attempts::new(route, *caller, origin, account.begun, context);
    let forwarding = Forwarding { outgoing, wanted: *wanted, context };
    let (mut answer, upstream) = attempts.answer(&forwarding, outgoing, limits.per_try, account).await?;
    outgoing.settle();
    route.heard_http(&answer.head);
    if let Some(speech) = &upstream.speech {
        let asked = ClientAuthority { scheme: origin.arrival.scheme, authority: outgoing.authority() };
        speech.turn_back(&mut answer.head.headers, asked);
    }
    Ok(answer)
}

/// A request, as each endpoint is asked.
struct Forwarding<'a> {
    outgoing: &'a Outgoing<'a>,
    wanted: WantedVersion,
    context: &'a WorkerContext,
}

impl Attempting for Forwarding<'_> {
    type Answer = ForwardedAnswer;

    fn ask(&self, upstream: &Rc<Upstream>) -> impl Future<Output = Result<ForwardedAnswer, Failure>> {
        forward(self.outgoing, self.wanted, upstream, self.context)
    }

    fn head<'h>(&self, answer: &'h ForwardedAnswer) -> (&'h Parts, Option<&'h [u8]>) {
        let status = answer.head.headers.get(GRPC_STATUS).filter(|_| answer.source.is_end_stream());
        (&answer.head, status.map(HeaderValue::as_bytes))
    }

    fn discard(&self, mut answer: ForwardedAnswer) {
        answer.source.drain();
    }
}

/// An endpoint's answer, so far its head.
struct ForwardedAnswer {
    head: Parts,
    source: BodySource,
}

impl ForwardedAnswer {
    fn into_response(
        mut self,
        origin: &ClientOrigin,
        mut account: Account,
        deadline: Option<Deadline>,
    ) -> Response<ResponseBody> {
        account.hears(&self.head);
        account.answered(self.head.status.as_u16());
        turn(&mut self.head, origin);
        let body = ResponseBody::new(self.source, account, origin, deadline);
        Response::from_parts(self.head, body)
    }
}

/// Sends the request to one endpoint and waits for the head of its response.
async fn forward(
    outgoing: &Outgoing<'_>,
    wanted: WantedVersion,
    upstream: &Rc<Upstream>,
    context: &WorkerContext,
) -> Result<ForwardedAnswer, Failure> {
    let (version, opened) = match &upstream.speech {
        Some(_) if !wanted.is_fixed => Box::pin(upstream.agree(wanted.version, &context.dialer)).await?,
        Some(_) | None => (wanted.version, None),
    };
    let (mut head, source) = if version == Version::HTTP_2 {
        let (head, answer) = stream(outgoing, upstream, context).await?;
        (head, BodySource::Http2(answer))
    } else {
        let idle = poll_fn(|cx| Poll::Ready(upstream.take_idle(cx))).await;
        let mut connection = match opened.or(idle) {
            Some(connection) => connection,
            None => Box::pin(upstream.open_http1(&context.dialer)).await?, // rare: not part of every request's future
        };
        let asking = {
            let (head, body) = outgoing.http1(upstream.host());
            connection.ask(head, body, outgoing.interim.as_ref().unwrap_or(&context.uncarried))
        };
        let answered = asking.await?;
        context.recorder.metrics.heard(answered.has_bare_line_feed);
        let Answered { head, .. } = answered;
        (head, BodySource::of(connection, upstream))
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::BadResponse); // nobody asked for it (RFC 9110 §15.2.2)
    }
    strip_length(&mut head.headers, head.status);
    Ok(ForwardedAnswer { head, source })
}

/// Sends the request over a shared connection: over another one where one has ended unnoticed.
async fn stream(
    outgoing: &Outgoing<'_>,
    upstream: &Rc<Upstream>,
    context: &WorkerContext,
) -> Result<(Parts, upstream::StreamAnswer), Failure> {
    for _ in 0..CONNECTIONS_MAX {
        let slot = match upstream.free_slot() {
            Some(slot) => slot,
            None => Box::pin(upstream.open_slot(&context.dialer)).await?, // rare, as above
        };
        let Some(mut asked) = slot.ask(upstream.put(outgoing.http2()?)?)? else { continue };
        let interim = outgoing.interim.as_ref().or(Some(&context.uncarried));
        let (mut head, body) = poll_fn(|cx| asked.poll_head(interim, cx)).await?;
        let answer = asked.answer(outgoing.method(), &head, body);
        strip_hop(&mut head.headers);
        return Ok((head, answer));
    }
    Err(Failure::Unprocessed)
}

/// Connections of one endpoint that one attempt finds to have ended: those that are open are few, and a new one that ends at once,
/// again and again, is an answer too.
const CONNECTIONS_MAX: usize = 5;

/// Turns a head to the client: who asked a proxy is told that it came through one (RFC 9110 §7.6.3); who asked a Service did not ask us,
/// and need not be.
pub(crate) fn turn(head: &mut Parts, origin: &ClientOrigin) {
    if origin.destination == Destination::Request {
        provenance::pass_back(&mut head.headers, head.version);
        head.headers.remove(header::PROXY_AUTHENTICATE); // for what is behind us, and not from us
    }
    if respond::is_early(origin.pulse.as_ref()) {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if head.status.canonical_reason().is_none() {
        head.extensions.insert(ReasonPhrase::from_static(b"")); // hyper would write one, as in `599 <none>`
    }
    head.version = Version::HTTP_11; // what hyper's server makes its own of; an HTTP/1.0 endpoint does not make us one
}

/// The version that an endpoint is spoken to in.
#[derive(Clone, Copy)]
struct WantedVersion {
    version: Version,
    /// Also where the endpoint would rather have another one, as some say when they begin TLS.
    is_fixed: bool,
}

/// The version that endpoints of this route are spoken to in: what the port declares, else the client's own, if it chose that knowing
/// them. Within TLS it chose from what this proxy offers, which says nothing of what they speak.
fn endpoint_version(route: &Route, client: Version, scheme: Scheme, dialect: Dialect) -> WantedVersion {
    let is_grpc = dialect == Dialect::Grpc;
    let version = match (route.hint, scheme) {
        (ProtocolHint::Http2, _) => Version::HTTP_2,
        (ProtocolHint::Http1, _) | (_, Scheme::Https) if is_grpc => Version::HTTP_2,
        (ProtocolHint::Http1, _) | (_, Scheme::Https) => Version::HTTP_11,
        (ProtocolHint::Http | ProtocolHint::Unknown | ProtocolHint::Opaque, Scheme::Http)
            if client == Version::HTTP_2 =>
        {
            Version::HTTP_2
        }
        (ProtocolHint::Http | ProtocolHint::Unknown | ProtocolHint::Opaque, Scheme::Http) => Version::HTTP_11,
    };
    WantedVersion {
        version,
        is_fixed: is_grpc || matches!(route.hint, ProtocolHint::Http1 | ProtocolHint::Http2),
    }
}

fn protocol(request: &Request<ClientBody>, dialect: Dialect) -> Protocol {
    match (dialect, request.version()) {
        (Dialect::Grpc, _) => Protocol::Grpc,
        (Dialect::Http, Version::HTTP_2) => Protocol::Http2,
        (Dialect::Http, _) => Protocol::Http1,
    }
}

impl RequestDetails {
    fn of(request: &Request<ClientBody>) -> RequestDetails {
        let (host, uri) = (authority::authority(request).ok(), request.uri());
        let host = host.as_ref().map(|host| without_userinfo(host.as_bytes()));
        let path = match uri.path_and_query() {
            Some(path) => path.to_string(),
            None => uri.authority().map(target_of_connect).unwrap_or_default(),
        };
        RequestDetails {
            method: Some(request.method().clone()),
            path,
            version: Some(request.version()),
            scheme: uri.scheme_str().filter(|_| request.version() != Version::HTTP_2).map(str::to_owned),
            host: host.map(|host| String::from_utf8_lossy(host).into_owned()).unwrap_or_default(),
        }
    }
}

/// Without a password, if there is one.
fn target_of_connect(authority: &Authority) -> String {
    let (_userinfo, target) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    target.to_owned()
}

#[cfg(test)]
mod parity;
