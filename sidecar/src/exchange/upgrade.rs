//! Requests that turn their connection into a tunnel: `Upgrade` (WebSocket and others, RFC 9110 §7.8) and `CONNECT`.

use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::http::response::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use svc_core::balance::Caller;
use svc_core::outcome::Failure;
use svc_core::protocol::ProtocolHint;

use super::account::Account;
use super::attempts::{Attempting, Attempts};
use super::body::{BodySource, ResponseBody};
use super::deadlines::{Deadline, RequestDeadlines, within};
use super::forward::turn;
use super::relay::Prebuffered;
use super::request::Outgoing;
use super::{respond, tunnel};
use crate::client::facts::Destination;
use crate::client::io::ClientIo;
use crate::context::WorkerContext;
use crate::http::client_body::ClientBody;
use crate::http::dialect::Dialect;
use crate::http::guard::Guarded;
use crate::http::target::Form;
use crate::net::tls_client::Payload;
use crate::routing::resolve::{ClientOrigin, Routed, route_to_authority};
use crate::routing::route::Route;
use crate::upstream::rewrite::ClientAuthority;
use crate::upstream::{Answered, Http1, Upstream, UpstreamIo};

/// The protocol that a request asks to go on in: one, and one that is not HTTP itself. A body goes before it (RFC 9110 §7.8), as of `docker exec`.
///
/// RFC 9113 §3.1 has withdrawn `h2c`, and a tunnel of HTTP would carry requests that nobody here looks at. A request that does not
/// apply is as good without (RFC 9110 §7.8).
pub(crate) fn wanted(request: &Request<ClientBody>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let headers = request.headers();
    let (_, protocol) = headers.iter().find(|(name, _)| **name == header::UPGRADE)?; // most have none: a walk is cheaper
    let named = |value: &HeaderValue| {
        let tokens = value.to_str().unwrap_or_default().split(',');
        tokens.map(str::trim).any(|token| token.eq_ignore_ascii_case("upgrade"))
    };
    let applies = headers.get_all(header::CONNECTION).iter().any(named)
        && headers.get_all(header::UPGRADE).iter().count() == 1
        && !may_be_http(protocol.as_bytes());
    applies.then(|| protocol.clone())
}

/// Whether a protocol is HTTP or what HTTP may run in, or a list that may name such.
fn may_be_http(protocol: &[u8]) -> bool {
    let starts =
        |name: &[u8]| protocol.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    protocol.contains(&b',') || [&b"h2"[..], b"http", b"tls"].iter().any(|name| starts(name))
}

/// Carries a request that asks for an upgrade; what follows a `101` is a tunnel.
pub(crate) async fn exchange(
    mut request: Request<ClientBody>,
    protocol: HeaderValue,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
    mut account: Account,
) -> Response<ResponseBody> {
    let upgraded = hyper::upgrade::on(&mut request);
    let answer = match ask(request, Some(&protocol), origin, context, &mut account).await {
        Ok(answer) => answer,
        Err(failure) => return respond::failure(failure, Dialect::Http, account, origin.pulse.clone()),
    };
    if !answer.switches() {
        return answer.into_response(account, origin);
    }
    // What the client has yet to say of its request would be the tunnel's.
    if !answer.connection.has_sent_all() || !answer.agrees_on(&protocol) {
        return respond::failure(Failure::BadResponse, Dialect::Http, account, origin.pulse.clone());
    }
    let UpgradeAnswer { mut head, connection, agreed, .. } = answer;
    account.connected();
    account.answered(head.status.as_u16());
    account.switches();
    turn(&mut head, origin);
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(header::UPGRADE, agreed.unwrap_or(protocol));
    let (context, (io, read)) = (context.clone(), connection.into_upgraded());
    tokio::task::spawn_local(async move { join(upgraded, io, read, account, &context).await });
    Response::from_parts(head, ResponseBody::tunnel())
}

/// An endpoint's answer to a request for an upgrade, so far its head.
pub(crate) struct UpgradeAnswer {
    pub(crate) head: Parts,
    pub(crate) connection: Box<Http1>,
    /// The protocol that the connection goes on in, as the endpoint has it.
    pub(crate) agreed: Option<HeaderValue>,
    upstream: Rc<Upstream>,
    deadline: Option<Deadline>,
}

impl UpgradeAnswer {
    pub(crate) fn switches(&self) -> bool {
        self.head.status == StatusCode::SWITCHING_PROTOCOLS
    }

    /// Whether the endpoint says that it goes on in the protocol that was asked for: it may in no other (RFC 9110 §7.8, §15.2.2).
    pub(crate) fn agrees_on(&self, protocol: &HeaderValue) -> bool {
        let mut named = self.agreed.iter().flat_map(|agreed| agreed.as_bytes().split(|&byte| byte == b','));
        named.any(|name| name.trim_ascii().eq_ignore_ascii_case(protocol.as_bytes().trim_ascii()))
    }

    /// The response when there is no upgrade: an ordinary one, the last of its connection.
    pub(crate) fn into_response(
        mut self,
        mut account: Account,
        origin: &ClientOrigin,
    ) -> Response<ResponseBody> {
        account.hears(&self.head);
        account.answered(self.head.status.as_u16());
        turn(&mut self.head, origin);
        self.connection.refuse_reuse();
        let UpgradeAnswer { head, connection, upstream, deadline, .. } = self;
        let source = BodySource::of(connection, &upstream);
        Response::from_parts(head, ResponseBody::new(source, account, origin, deadline))
    }
}

/// Asks for an upgrade, or as CONNECT has it for a tunnel, and waits for an answer no longer than for any other.
pub(crate) async fn ask(
    request: Request<ClientBody>,
    protocol: Option<&HeaderValue>,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
    account: &mut Account,
) -> Result<UpgradeAnswer, Failure> {
    let routed = origin.route(&request, &context.router).await?;
    let (waited, handshake) =
        (routed.waited, UpgradeRequest::new(request, routed, protocol, origin, context, account)?);
    let (limits, deadline) = (handshake.limits, handshake.limits.deadline(account.begun));
    let authority = handshake.outgoing.authority().clone();
    let carrying = pin!(carry(handshake, context, account));
    let left = limits.whole.map(|whole| whole.saturating_sub(waited));
    let (connection, upstream, answered) = within(left, limits.late, carrying).await?;
    context.recorder.metrics.heard(answered.has_bare_line_feed);
    let Answered { mut head, upgrade: agreed, .. } = answered;
    if let Some(speech) = &upstream.speech {
        let asked = ClientAuthority { scheme: origin.arrival.scheme, authority: &authority };
        speech.turn_back(&mut head.headers, asked);
    }
    Ok(UpgradeAnswer { head, connection, agreed, upstream, deadline })
}

/// A request for an upgrade with its way.
struct UpgradeRequest<'a> {
    outgoing: Outgoing<'a>,
    protocol: Option<&'a HeaderValue>,
    route: Rc<Route>,
    caller: Caller,
    origin: &'a ClientOrigin,
    limits: RequestDeadlines,
}

impl<'a> UpgradeRequest<'a> {
    fn new(
        request: Request<ClientBody>,
        routed: Routed,
        protocol: Option<&'a HeaderValue>,
        origin: &'a ClientOrigin,
        context: &WorkerContext,
        account: &mut Account,
    ) -> Result<UpgradeRequest<'a>, Failure> {
        let Routed { route, authority, form, waited: _ } = routed;
        account.serves(&route.port.label);
        let (caller, limits) = (
            origin.caller(&route, request.headers(), &context.router),
            RequestDeadlines::of(&route, context),
        );
        let outgoing = Outgoing::new(request, authority, form, caller.client, origin)?;
        account.waits(limits.patience(), false);
        account.uploads(outgoing.body.as_ref());
        Ok(UpgradeRequest { outgoing, protocol, route, caller, origin, limits })
    }
}

type Carried = (Box<Http1>, Rc<Upstream>, Answered);

/// Sends the request on a connection of its own to one endpoint after another, until one answers.
async fn carry(
    handshake: UpgradeRequest<'_>,
    context: &Rc<WorkerContext>,
    account: &mut Account,
) -> Result<Carried, Failure> {
    let UpgradeRequest { outgoing, protocol, route, caller, origin, limits } = handshake;
    let mut attempts = Attempts::new(&route, caller, origin, account.begun, context);
    let upgrading = Upgrading { outgoing: &outgoing, protocol, context };
    let ((connection, answered), upstream) =
        attempts.answer(&upgrading, &outgoing, limits.per_try, account).await?;
    outgoing.settle();
    Ok((connection, upstream, answered))
}

/// A request for an upgrade, as each endpoint is asked.
struct Upgrading<'a> {
    outgoing: &'a Outgoing<'a>,
    protocol: Option<&'a HeaderValue>,
    context: &'a WorkerContext,
}

impl Attempting for Upgrading<'_> {
    type Answer = (Box<Http1>, Answered);

    fn ask(&self, upstream: &Rc<Upstream>) -> impl Future<Output = Result<Self::Answer, Failure>> {
        attempt(self.outgoing, self.protocol, upstream, self.context)
    }

    fn head<'h>(&self, (_, answered): &'h Self::Answer) -> (&'h Parts, Option<&'h [u8]>) {
        (&answered.head, None)
    }
}

async fn attempt(
    outgoing: &Outgoing<'_>,
    protocol: Option<&HeaderValue>,
    upstream: &Upstream,
    context: &WorkerContext,
) -> Result<(Box<Http1>, Answered), Failure> {
    let mut connection = upstream.open_http1(&context.dialer).await?;
    let (head, body) = match protocol {
        Some(protocol) => outgoing.http1_upgrade(upstream.host(), protocol),
        None => outgoing.http1(upstream.host()),
    };
    let answered =
        connection.ask(head, body, outgoing.interim.as_ref().unwrap_or(&context.uncarried)).await?;
    Ok((connection, answered))
}

/// Opens a tunnel (RFC 9110 §9.3.6): through the forward proxy, or as far as a Service that is a proxy itself.
pub(crate) async fn connect(
    mut request: Request<ClientBody>,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
    mut account: Account,
) -> Response<ResponseBody> {
    let over_http1 = request.version() != Version::HTTP_2;
    let refuse = |failure, account| {
        let mut refusal = respond::failure(failure, Dialect::Http, account, origin.pulse.clone());
        if over_http1 {
            // What follows may be meant for the tunnel, and must not be taken for requests (RFC 9931).
            refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        refusal
    };
    if request.version() == Version::HTTP_2 {
        return refuse(Failure::UpgradeRefused, account);
    }
    if origin.destination != Destination::Request {
        let upgraded = hyper::upgrade::on(&mut request);
        return match Box::pin(ask_for_tunnel(request, origin, context, &mut account)).await {
            Err(failure) => refuse(failure, account),
            Ok(answer) if answer.head.status != StatusCode::OK => {
                let mut response = answer.into_response(account, origin);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                response
            }
            Ok(answer) => {
                account.connected();
                account.answered(StatusCode::OK.as_u16());
                account.tunnels();
                let UpgradeAnswer { mut head, connection, .. } = answer;
                turn(&mut head, origin);
                let (context, (io, read)) = (context.clone(), connection.into_upgraded());
                tokio::task::spawn_local(async move { join(upgraded, io, read, account, &context).await });
                Response::from_parts(head, ResponseBody::tunnel())
            }
        };
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let opened = async {
        let authority = authority.as_deref().ok_or(Failure::BadRequest)?;
        let (route, _waited) = route_to_authority(authority, origin.arrival.client, &context.router).await?;
        let caller = origin.caller(&route, request.headers(), &context.router);
        tunnel::dial(&route, Payload::Untouched, caller, &origin.client_info(), context, &mut account).await
    };
    match opened.await {
        Err(failure) => refuse(failure, account),
        Ok(io) => {
            account.answered(StatusCode::OK.as_u16());
            account.tunnels();
            let (upgraded, context) = (hyper::upgrade::on(&mut request), context.clone());
            tokio::task::spawn_local(
                async move { join(upgraded, io, Bytes::new(), account, &context).await },
            );
            Response::new(ResponseBody::tunnel())
        }
    }
}

/// Asks a Service for a tunnel to elsewhere, as one asks a proxy. To the Service itself there is none to be asked for.
async fn ask_for_tunnel(
    request: Request<ClientBody>,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
    account: &mut Account,
) -> Result<UpgradeAnswer, Failure> {
    let routed = origin.route(&request, &context.router).await?;
    match (routed.form, routed.route.hint) {
        (Form::Authority, hint) if hint != ProtocolHint::Http2 => {
            ask(request, None, origin, context, account).await
        }
        _ => Err(Failure::UpgradeRefused),
    }
}

/// Joins the client's connection, once hyper hands it over, with the endpoint's.
async fn join(
    upgraded: OnUpgrade,
    io: UpstreamIo,
    read: Bytes,
    account: Account,
    context: &Rc<WorkerContext>,
) {
    io.break_when_dropped();
    let Ok(upgraded) = upgraded.await else {
        return account.fail(Failure::ClientGone);
    };
    let parts = upgraded
        .downcast::<TokioIo<Guarded<ClientIo>>>()
        .expect("every HTTP/1 connection is served behind a guard");
    let (client, held) = parts.io.into_inner().into_parts();
    // hyper has nothing of what follows a request for a tunnel.
    let from_client = if parts.read_buf.is_empty() { held } else { [parts.read_buf, held].concat().into() };
    let prebuffered = Prebuffered { from_client: from_client.into(), from_upstream: read.into() };
    tunnel::carry(client, io, prebuffered, account, context).await;
}
