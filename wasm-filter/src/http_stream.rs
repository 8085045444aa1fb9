//! One request: which endpoint it goes to, what that is told, and what its answer says of it.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use svc_core::address::ServiceName;
use svc_core::dispatch::{Dispatched, Edited, Request, ServiceRef, dispatch, edit};
use svc_core::forwarding::HttpVersion;
use svc_core::outcome::Failure;
use svc_core::port::AttemptHandle;
use svc_core::stats::{AnswerHead, EjectionChange, Heard};
use svc_core::table::Target;
use svc_core::time::Now;
use svc_proto::duration::Shown;
use svc_proto::names::{PROXY_NAME, header};
use svc_proto::plugin::{HandOff, ServiceFrom, Unknown};

use crate::context::VmContext;
use crate::counts::Series;
use crate::host::{Flow, Http, Level};

mod edits;
mod peer;
mod verdict;

use edits::Edits;

/// What is kept of one request until its stream is gone.
pub struct HttpStream<H: Http> {
    host: H,
    context: Rc<VmContext>,
    /// None while that is not known, and for a host of no namespace, of which clients may name any number.
    service: Option<ServiceName>,
    protocol: &'static str,
    attempt: Option<AttemptHandle>,
    /// By the endpoint, the proxy or us.
    is_answered: bool,
}

impl<H: Http> HttpStream<H> {
    /// A request that nothing is known of yet.
    pub fn new(host: H, context: Rc<VmContext>) -> HttpStream<H> {
        HttpStream { host, context, service: None, protocol: HTTP1, attempt: None, is_answered: false }
    }

    /// The head of the request is there.
    pub fn begin(&mut self) -> Flow {
        let headers = self.host.request_headers();
        let fields = headers.fields();
        let head = Head::of(&fields);
        let target = match self.target(&head) {
            Ok(target) => target,
            Err(Failure::UnknownDestination) if self.context.plugin.unknown == Unknown::Pass => {
                Edits::without_hand_over(&fields, &self.context.plugin).make(&self.host);
                return Flow::Continue;
            }
            Err(failure) => return self.fail(failure),
        };
        self.service = Some(target.service.name.clone()).filter(|name| !name.namespace.is_empty());
        match self.dispatch(&fields, &head, &target) {
            Ok(()) => Flow::Continue,
            Err(failure) => self.fail(failure),
        }
    }

    /// The head of the answer is there: the endpoint's, or the proxy's own.
    pub fn answered(&mut self) {
        let status = self.host.response_header(":status").and_then(|status| number(&status)).unwrap_or(0);
        if self.service.is_some() {
            let service = self.service.clone();
            self.context.counts.count(Series::Requests { service, protocol: self.protocol, code: status });
        }
        if std::mem::replace(&mut self.is_answered, true) {
            return; // it was ours
        }
        if self.context.plugin.debug_header
            && let Some(service) = &self.service
        {
            let endpoint = self.attempt.as_ref().map(|attempt| format!("; endpoint={}", attempt.addr().0));
            let route = format!("{service}{}", endpoint.unwrap_or_default());
            self.host.set_response_header(header::ROUTE, route.as_bytes());
        }
        if self.context.plugin.learn {
            self.learn(status);
        }
    }

    /// The trailers of the answer are there: how a call of gRPC went.
    pub fn answered_in_full(&mut self) {
        let Some(attempt) =
            self.attempt.as_mut().filter(|_| self.protocol == GRPC && self.context.plugin.learn)
        else {
            return;
        };
        let status = self.host.response_trailer(GRPC_STATUS);
        let field = |name: &str| if name == GRPC_STATUS { status.as_deref() } else { None };
        let heard = attempt.hears_grpc(field, self.host.now(), || self.context.draws.draw());
        self.note(heard);
    }

    fn target(&self, head: &Head<'_>) -> Result<Arc<Target>, Failure> {
        let metadata;
        let service_ref = match &self.context.plugin.service {
            ServiceFrom::Authority => ServiceRef::Authority(head.authority),
            ServiceFrom::Fixed { namespace, name, port } => ServiceRef::Port { namespace, name, port: *port },
            ServiceFrom::Metadata(key) => {
                metadata = self.host.property(&route_metadata(key)).and_then(text).unwrap_or_default();
                match metadata.as_str() {
                    "" => ServiceRef::Authority(head.authority), // a route that says nothing leaves it to the request
                    said => ServiceRef::parse(said).map_err(|_| Failure::UnknownDestination)?,
                }
            }
        };
        self.context.resolve(service_ref)
    }

    fn dispatch(
        &mut self,
        fields: &[(&str, &[u8])],
        head: &Head<'_>,
        target: &Arc<Target>,
    ) -> Result<(), Failure> {
        let context = Rc::clone(&self.context);
        let version = self.version(&context);
        self.protocol = protocol(version, head);
        let request = Request {
            method: head.method,
            authority: head.authority,
            scheme: head.scheme,
            version,
            peer: peer::of(&self.host, &context, target),
            fields,
        };
        let settings = context.settings();
        let (attempt, authority, told) = match &context.plugin.hand_off {
            HandOff::OriginalDestination { .. } | HandOff::OverrideHost { .. } => {
                let now = self.now();
                let mut ports = context.ports.borrow_mut();
                let draw = || context.draws.draw();
                let Dispatched { attempt, authority, told, .. } =
                    dispatch(target, &mut ports, &request, settings, now, draw)?;
                (Some(attempt), authority, told)
            }
            HandOff::ClusterHeader { .. } | HandOff::None => {
                let Edited { authority, told, .. } = edit(target, &request, settings)?;
                (None, authority, told)
            }
        };
        let mut edits = Edits::without_hand_over(fields, &context.plugin);
        edits.tell(&told);
        if let Some(authority) = &authority {
            edits.set(":authority", Cow::Borrowed(authority.as_bytes()));
        }
        let endpoint = attempt.as_ref().map(|attempt| context.written(attempt));
        if let Some((header, value)) = hand_over(&context.plugin.hand_off, target, endpoint.as_deref()) {
            edits.set(header, value);
        }
        edits.make(&self.host);
        self.attempt = attempt;
        Ok(())
    }

    /// The time: as exactly as it is needed.
    fn now(&self) -> Now {
        if self.context.plugin.learn { self.host.now() } else { self.context.last_tick() }
    }

    /// Only asked where somebody wants to know: it is a call of the host.
    fn version(&self, context: &VmContext) -> HttpVersion {
        let wanted = context.plugin.via_header || context.plugin.learn;
        let said = if wanted { self.host.property(&["request", "protocol"]).and_then(text) } else { None };
        said.map_or(HttpVersion::Http11, |said| HttpVersion::named(&said))
    }

    fn learn(&mut self, status: u16) {
        let Some(attempt) = &mut self.attempt else { return };
        let (host, draws) = (&self.host, &self.context.draws);
        let now = host.now();
        match verdict::of(status, host) {
            verdict::Verdict::Endpoints => {
                let wanted =
                    if matches!(status, 429 | 503) { host.response_header("retry-after") } else { None };
                let grpc = if self.protocol == GRPC { host.response_header(GRPC_STATUS) } else { None };
                let field = |name: &str| match name {
                    "retry-after" => wanted.as_deref(),
                    GRPC_STATUS => grpc.as_deref(),
                    _ => None,
                };
                let head = AnswerHead { status, is_grpc: self.protocol == GRPC, field };
                let heard = attempt.hears(head, || host.unix_seconds(), now, || draws.draw());
                self.note(heard);
            }
            verdict::Verdict::Failed(failure) => {
                let change = attempt.failed(now, || draws.draw());
                self.context.counts.count(Series::Failures(failure.verdict().code));
                self.note(Heard { change, backoff: None });
            }
            verdict::Verdict::Nobodys => self.leave(now), // it was not asked, or not to the end
        }
    }

    fn note(&self, heard: Heard) {
        let Some(EjectionChange::Ejected { reason, penalty }) = heard.change else { return };
        let service = self.service.clone();
        self.context.counts.count(Series::Ejections { service, reason });
        if let Some(attempt) = &self.attempt {
            let service = self.service.as_ref().map(ServiceName::label).unwrap_or_default();
            let (endpoint, why, penalty) = (attempt.addr().0, reason.as_str(), Shown(penalty));
            let message = format!("{service}: endpoint {endpoint} ejected for {penalty}: {why}");
            self.context.log(&self.host, Level::Info, &message);
        }
    }

    /// Nothing more is asked of the endpoint.
    fn leave(&mut self, now: Now) {
        if let Some(attempt) = self.attempt.take() {
            attempt.end(now, || self.context.draws.draw());
        }
    }

    /// Answers that it failed, and why.
    fn fail(&mut self, failure: Failure) -> Flow {
        self.is_answered = true;
        let verdict = failure.verdict();
        self.context.counts.count(Series::Failures(verdict.code));
        let proxy_status = format!("{PROXY_NAME}; error={}; details=\"{failure}\"", verdict.proxy_error);
        let head = vec![
            (header::PROXY_STATUS, proxy_status.as_bytes()),
            ("content-type", b"text/plain; charset=utf-8".as_slice()),
        ];
        self.host.reply(verdict.status, head, format!("{PROXY_NAME}: {failure}\n").as_bytes());
        Flow::Pause
    }
}

/// Whatever becomes of a stream, its endpoint has it no more.
impl<H: Http> Drop for HttpStream<H> {
    fn drop(&mut self) {
        let Some(attempt) = &mut self.attempt else { return };
        let now = if self.context.plugin.learn { self.host.now() } else { self.context.last_tick() };
        if self.is_answered && self.context.plugin.learn {
            let _told_already = attempt.succeeded(now);
        }
        self.leave(now);
    }
}

/// The header that tells the proxy where a request goes, and what it says.
fn hand_over<'a>(
    by: &'a HandOff,
    target: &Target,
    endpoint: Option<&'a str>,
) -> Option<(&'a str, Cow<'a, [u8]>)> {
    match by {
        HandOff::OriginalDestination { header } | HandOff::OverrideHost { header } => {
            Some((header, Cow::Borrowed(endpoint?.as_bytes())))
        }
        HandOff::ClusterHeader { header, cluster } => {
            let name = &target.service.name;
            let cluster = cluster.of(&name.namespace, &name.name, target.port.port);
            Some((header, Cow::Owned(cluster.into_bytes())))
        }
        HandOff::None => None,
    }
}

/// What a request says of itself in its first lines.
struct Head<'a> {
    method: &'a str,
    authority: &'a str,
    scheme: &'a str,
    is_grpc: bool,
}

impl<'a> Head<'a> {
    fn of(fields: &[(&'a str, &'a [u8])]) -> Head<'a> {
        let mut head = Head { method: "", authority: "", scheme: "http", is_grpc: false };
        for (name, value) in fields {
            let place = match *name {
                ":method" => &mut head.method,
                ":authority" => &mut head.authority,
                ":scheme" => &mut head.scheme,
                "content-type" => {
                    head.is_grpc = svc_core::grpc::is_content_type(value);
                    continue;
                }
                _ => continue,
            };
            *place = str::from_utf8(value).unwrap_or(place);
        }
        head
    }
}

fn protocol(version: HttpVersion, head: &Head<'_>) -> &'static str {
    match version {
        HttpVersion::Http2 | HttpVersion::Http3 if head.is_grpc => GRPC,
        HttpVersion::Http2 => "http/2",
        HttpVersion::Http3 => "http/3",
        HttpVersion::Http10 | HttpVersion::Http11 => HTTP1,
    }
}

/// Where a route keeps what it says under `key`, which begins with the name of a filter, as in `svcmesh.service`.
fn route_metadata(key: &str) -> [&str; 5] {
    let (filter, key) = key.rsplit_once('.').unwrap_or((PROXY_NAME, key));
    ["xds", "route_metadata", "filter_metadata", filter, key]
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok()
}

fn number(text: &[u8]) -> Option<u16> {
    str::from_utf8(text).ok()?.parse().ok()
}

const HTTP1: &str = "http/1.1";
const GRPC: &str = "grpc";
const GRPC_STATUS: &str = "grpc-status";

#[cfg(test)]
mod tests;
