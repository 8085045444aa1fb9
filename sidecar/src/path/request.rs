//! A client's request, made ready for an endpoint: read in one way only, without what belonged to the client's hop, and with the
//! truth about where it came from.

use std::net::IpAddr;
use std::rc::Rc;

use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Uri, Version};
use svc_core::forwarding::{is_forwarding, is_hop_by_hop, nominated};
use svc_core::grpc_timeout;
use svc_core::outcome::Failure;
use svc_core::retry;
use svc_core::time::Now;

use super::client_body::ClientBody;
use super::gate::Gate;
use super::guard::refused;
use super::interim::Interim;
use super::limits::GRPC_TIMEOUT;
use super::provenance::{self, Provenance};
use super::request_body::{RequestBody, UpstreamBody};
use super::resolve::Origin;
use super::target::Form;
use super::upstream::RequestHead;
use crate::clock;

/// A request that can be sent, and sent again as long as its body is whole.
pub(crate) struct Outgoing<'o> {
    /// What the client said, without what ends here.
    parts: Parts,
    /// Who the client asked for, in whatever way.
    authority: HeaderValue,
    form: Form,
    provenance: Provenance<'o>,
    pub(crate) body: Option<Rc<RequestBody>>,
    gate: Option<Rc<Gate>>,
    /// `te: trailers` was said; it belongs to a hop, and HTTP/2 endpoints (gRPC's among them) want it on theirs.
    trailers: bool,
    pub(crate) idempotent: bool,
    pub(crate) grpc: bool,
    /// When the client has to have all of its answer.
    pub(crate) deadline: Option<Now>,
    /// The endpoint is told how much time is left, as the client told us.
    pub(crate) tells_deadline: bool,
    /// Where interim answers go, if the client can have them.
    pub(crate) interim: Option<Interim>,
}

/// Who the request is for: the authority of its target, else its `Host` (RFC 9112 §3.2), which may be empty.
///
/// # Errors
/// [`Failure::BadRequest`] when there is none, or more than one reading.
pub(crate) fn authority<B>(request: &Request<B>) -> Result<HeaderValue, Failure> {
    // A walk: to look for it by its hash costs more than to pass the few headers that there are.
    let mut hosts = request.headers().iter().filter(|(name, _)| **name == header::HOST).map(|(_, host)| host);
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(refused("a request has one Host (RFC 9112 §3.2)"));
    }
    if !has_legal_target(request) {
        return Err(refused("a target has the form that its method wants (RFC 9112 §3.2)"));
    }
    match (request.uri().authority(), host) {
        (Some(target), host) => {
            let agrees =
                host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()));
            // RFC 9113 §8.3.1: an HTTP/2 request whose Host differs from :authority is malformed.
            if request.version() == Version::HTTP_2 && !agrees {
                return Err(refused("Host is what :authority is (RFC 9113 §8.3.1)"));
            }
            HeaderValue::from_str(target.as_str()).map_err(|_| Failure::BadRequest)
        }
        (None, Some(host)) if !host.is_empty() || request.version() != Version::HTTP_2 => Ok(host.clone()),
        (None, None) if request.version() == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (None, _) => Err(refused("a request says for which host it is (RFC 9112 §3.2)")),
    }
}

/// Whether the target has a form that its method may have (RFC 9112 §3.2): `*` is for OPTIONS, a bare authority for CONNECT, and
/// what comes in clear text is for `http`.
fn has_legal_target<B>(request: &Request<B>) -> bool {
    let (uri, method) = (request.uri(), request.method());
    if uri.path() == "*" && method != Method::OPTIONS {
        return false;
    }
    match (uri.scheme(), uri.authority()) {
        (None, None) => true,
        (None, Some(_)) => method == Method::CONNECT,
        (Some(scheme), _) => *scheme == Scheme::HTTP || request.version() == Version::HTTP_2,
    }
}

impl<'o> Outgoing<'o> {
    /// Makes the `request` of `client`, as far as that is known, ready.
    ///
    /// # Errors
    /// [`Failure::BadRequest`] when its host or its body could be read in two ways; [`Failure::TooManyPasses`] when it goes in a circle.
    pub(crate) fn new(
        request: Request<ClientBody>,
        authority: HeaderValue,
        form: Form,
        client: IpAddr,
        origin: &'o Origin,
    ) -> Result<Outgoing<'o>, Failure> {
        let (mut parts, incoming) = request.into_parts();
        if !is_plainly_framed(&parts.headers, &incoming) {
            return Err(refused("a body comes in chunks and in no other coding (RFC 9112 §6.1)"));
        }
        let idempotent = retry::is_idempotent(parts.method.as_str());
        let names = Names::of(&parts.headers);
        let trailers = names.te && says_trailers(&parts.headers);
        let empty = incoming.is_end_stream();
        // Without a body there is nothing to wait for (RFC 9110 §10.1.1).
        let gate = (names.expect && takes_expectation(&mut parts) && !empty).then(Gate::new);
        let ends = |name: &str| match name {
            "proxy-authorization" => form == Form::Origin,
            _ => is_hop_by_hop(name) || provenance::is_dropped(name, origin),
        };
        strip(&mut parts.headers, ends);
        let provenance = Provenance::of(parts.version, &authority, origin)?;
        if origin.trusted || names.via {
            provenance.continue_in(&mut parts.headers, &authority, client)?;
        }
        let interim = incoming.interim();
        let body = (!empty)
            .then(|| RequestBody::new(incoming, gate.clone(), origin.holder.clone(), origin.pulse.clone()));
        Ok(Outgoing {
            parts,
            authority,
            form,
            provenance,
            body,
            gate,
            trailers,
            idempotent,
            grpc: false,
            deadline: None,
            tells_deadline: false,
            interim,
        })
    }

    /// Who the client asked for.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// An endpoint has answered: no attempt follows.
    pub(crate) fn settle(&self) {
        if let Some(body) = &self.body {
            body.settle();
        }
    }

    /// Whose failure it is that an attempt failed: the client's, if its body broke off.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        self.body.as_ref().and_then(|body| body.broken()).unwrap_or(failure)
    }

    pub(crate) fn body_is_whole(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_whole())
    }

    /// An endpoint that asked for the body has it: the next one is sent it at once.
    fn body_is_untouched(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_untouched())
    }

    /// The request of one attempt over HTTP/1, for an endpoint that knows itself by the name `host` if not by the client's.
    pub(crate) fn http1(&self, host: Option<&HeaderValue>) -> (RequestHead, UpstreamBody) {
        let form = if host.is_some() { Form::Origin } else { self.form };
        let mut head = RequestHead::begin(&self.parts.method, &self.parts.uri, form);
        // The target wins over a Host beside it (RFC 9112 §3.2.2); HTTP/2 has none, HTTP/1.0 need not.
        head.field(&header::HOST, host.unwrap_or(&self.authority).as_bytes());
        let crumbs = self.parts.version == Version::HTTP_2 && self.said_crumbs();
        for (name, value) in self.said().filter(|(name, _)| !crumbs || **name != header::COOKIE) {
            head.field(name, value.as_bytes());
        }
        if crumbs {
            head.field(&header::COOKIE, &self.cookie());
        }
        let said = &self.parts.headers;
        self.provenance.tell(said, &self.authority, |name, value| head.field(&name, value.as_bytes()));
        if self.gate.is_some() && self.body_is_untouched() {
            head.field(&header::EXPECT, b"100-continue");
        }
        (head, self.body())
    }

    /// The request of one attempt over HTTP/2.
    pub(crate) fn http2(&self) -> Result<Request<UpstreamBody>, Failure> {
        let mut request = Request::new(self.body());
        *request.method_mut() = self.parts.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers();
        let mut uri = self.parts.uri.clone().into_parts();
        uri.scheme = Some(Scheme::HTTP);
        if uri.authority.is_none() {
            let authority = Authority::from_maybe_shared(self.authority.clone());
            uri.authority = Some(authority.map_err(|_| Failure::BadRequest)?);
        }
        uri.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Failure::BadRequest)?;
        if self.trailers {
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        }
        if self.gate.is_some() && self.body_is_untouched() {
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        }
        if let (Some(deadline), true) = (self.deadline, self.tells_deadline) {
            let left = grpc_timeout::write(deadline.since(clock::now()));
            let left = HeaderValue::from_str(&left).expect("digits and a letter");
            request.headers_mut().insert(GRPC_TIMEOUT, left);
        }
        Ok(request)
    }

    /// Adds what an upgrade says to the endpoint's own hop (RFC 9110 §7.8).
    pub(crate) fn http1_upgrade(
        &self,
        host: Option<&HeaderValue>,
        protocol: &HeaderValue,
    ) -> (RequestHead, UpstreamBody) {
        let (mut head, body) = self.http1(host);
        head.field(&header::CONNECTION, b"upgrade");
        head.field(&header::UPGRADE, protocol.as_bytes());
        (head, body)
    }

    /// What the client said, apart from whom it asked for.
    fn said(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.parts.headers.iter().filter(|(name, _)| **name != header::HOST)
    }

    /// HTTP/2 may split a cookie into several headers, HTTP/1 may not (RFC 9113 §8.2.3).
    fn said_crumbs(&self) -> bool {
        self.parts.headers.get_all(header::COOKIE).iter().nth(1).is_some()
    }

    fn cookie(&self) -> Vec<u8> {
        let crumbs: Vec<&[u8]> =
            self.parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        crumbs.join(&b"; "[..])
    }

    fn body(&self) -> UpstreamBody {
        self.body.as_ref().map_or(UpstreamBody::Empty, RequestBody::sending)
    }

    /// The client's headers and ours, copied: the endpoint may turn out to have closed the connection just now, and the request must then be
    /// there to be sent again. `HeaderMap::clone` leaves no room for more, and to make some afterwards, name by name in a table twice as
    /// large, costs more than to begin with it.
    fn headers(&self) -> HeaderMap {
        let said = &self.parts.headers;
        let mut headers = HeaderMap::with_capacity(said.keys_len() + provenance::ADDED);
        for (name, value) in self.said() {
            headers.append(name, value.clone());
        }
        self.provenance.tell(said, &self.authority, |name, value| drop(headers.insert(name, value)));
        headers
    }
}

/// Which headers a head has, of those that few have: one walk over its names costs less than to look for each.
#[derive(Default)]
struct Names {
    te: bool,
    expect: bool,
    via: bool,
}

impl Names {
    fn of(headers: &HeaderMap) -> Names {
        let mut names = Names::default();
        for name in headers.keys() {
            names.te |= name == header::TE;
            names.expect |= name == header::EXPECT;
            names.via |= name == header::VIA;
        }
        names
    }
}

/// Whether the body came as it is, or in chunks and nothing else: what `gzip, chunked` hides belongs to the hop that ends here, and
/// hyper takes only the chunks away. A body of a known size has no coding.
pub(crate) fn is_plainly_framed(headers: &HeaderMap, body: &impl Body) -> bool {
    if body.size_hint().exact().is_some() {
        return true;
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    plain && codings.next().is_none()
}

/// Takes a `100-continue` expectation out of a request with a body at HTTP/1.1; elsewhere it is dropped: hyper and HTTP/2 peers
/// settle it between themselves.
fn takes_expectation(parts: &mut Parts) -> bool {
    let expected = parts.headers.remove(header::EXPECT);
    parts.version == Version::HTTP_11
        && expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn says_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"))
}

/// Removes from trailers what may not be one (RFC 9110 §6.5.1), and what says where a request came from.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip(trailers, |name| is_hop_by_hop(name) || is_forwarding(name) || belongs_to_head(name));
}

/// Whether a field frames, routes, authenticates or asks for something, so that nobody may learn of it after the head. Those that Go's
/// net/http refuses too, and cookies.
fn belongs_to_head(name: &str) -> bool {
    matches!(
        name,
        "age"
            | "authorization"
            | "cache-control"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "cookie"
            | "expect"
            | "host"
            | "location"
            | "max-forwards"
            | "pragma"
            | "range"
            | "realm"
            | "set-cookie"
            | "trailer"
            | "vary"
            | "www-authenticate"
    ) || name.starts_with("if-")
}

/// Removes what is about this connection only, in a request or a response.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    strip(headers, is_hop_by_hop);
}

/// Removes the headers that end here, and those that `Connection` nominates, which ends here itself. Looks at each name once: many
/// heads have none of them, and to look for each by its hash costs a tenth of a request.
fn strip(headers: &mut HeaderMap, ends_here: impl Fn(&str) -> bool) {
    if !headers.keys().any(|name| ends_here(name.as_str())) {
        return;
    }
    strip_nominated(headers);
    while let Some(name) = headers.keys().find(|name| ends_here(name.as_str())).cloned() {
        headers.remove(name);
    }
}

fn strip_nominated(headers: &mut HeaderMap) {
    let values = headers.iter().filter(|(name, _)| **name == header::CONNECTION);
    for name in nominated(values.map(|(_, value)| value.as_bytes())) {
        headers.remove(&*name);
    }
}
