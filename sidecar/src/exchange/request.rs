//! A client's request, made ready for an endpoint: read in one way only, without what belonged to the client's hop, and with the
//! truth about where it came from.

use std::net::IpAddr;
use std::rc::Rc;

use hyper::body::Body;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Uri, Version};
use svc_core::forwarding::is_hop_by_hop;
use svc_core::outcome::Failure;
use svc_core::time::Now;
use svc_core::{grpc_timeout, retry};

use super::provenance::{self, ForwardingHeaders};
use crate::clock;
use crate::http::client_body::ClientBody;
use crate::http::gate::Gate;
use crate::http::guard::refused;
use crate::http::headers::{GRPC_TIMEOUT, is_plainly_framed, strip};
use crate::http::interim::Interim;
use crate::http::request_body::{RequestBody, UpstreamBody};
use crate::http::target::Form;
use crate::routing::resolve::ClientOrigin;
use crate::upstream::RequestHead;

/// A request that can be sent, and sent again as long as its body is whole.
pub(crate) struct Outgoing<'o> {
    /// What the client said, without what ends here.
    parts: Parts,
    /// Who the client asked for, in whatever way.
    authority: HeaderValue,
    form: Form,
    provenance: ForwardingHeaders<'o>,
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
        origin: &'o ClientOrigin,
    ) -> Result<Outgoing<'o>, Failure> {
        let (mut parts, incoming) = request.into_parts();
        if !is_plainly_framed(&parts.headers, &incoming) {
            return Err(refused("a body comes in chunks and in no other coding (RFC 9112 §6.1)"));
        }
        let idempotent = retry::is_idempotent(parts.method.as_str());
        let names = PresentHeaders::of(&parts.headers);
        let trailers = names.te && says_trailers(&parts.headers);
        let empty = incoming.is_end_stream();
        // Without a body there is nothing to wait for (RFC 9110 §10.1.1).
        let gate = (names.expect && takes_expectation(&mut parts) && !empty).then(Gate::new);
        let ends = |name: &str| match name {
            "proxy-authorization" => form == Form::Origin,
            _ => is_hop_by_hop(name) || provenance::is_dropped(name, origin),
        };
        strip(&mut parts.headers, ends);
        let provenance = ForwardingHeaders::of(parts.version, &authority, origin)?;
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

    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
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
struct PresentHeaders {
    te: bool,
    expect: bool,
    via: bool,
}

impl PresentHeaders {
    fn of(headers: &HeaderMap) -> PresentHeaders {
        let mut names = PresentHeaders::default();
        for name in headers.keys() {
            names.te |= name == header::TE;
            names.expect |= name == header::EXPECT;
            names.via |= name == header::VIA;
        }
        names
    }
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
