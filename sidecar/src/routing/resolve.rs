//! Which Service port a connection or request is for.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::header::{HeaderMap, HeaderValue};
use svc_core::address::{ClientAddr, ServiceName, Transport};
use svc_core::authority::{Authority, UriHost};
use svc_core::balance::Caller;
use svc_core::discovery::kubernetes::Want;
use svc_core::dns::names::split_service;
use svc_core::forwarding::{client_behind, is_trusted};
use svc_core::outcome::Failure;
use svc_core::table::{Table, Target, Unasked};
use svc_proto::names::header::{FORWARDED, X_FORWARDED_FOR};

use super::affinity::PinMemory;
use super::route::Route;
use super::router::Router;
use super::target::form;
use crate::client::facts::{Arrival, ClientInfo, Destination, ProxyHeader};
use crate::client::flood::StreamCounts;
use crate::clock::{self, timeout};
use crate::http::authority;
use crate::http::guard::refused;
use crate::http::pulse::Pulse;
use crate::http::target::Form;
use crate::memory::Holder;
use crate::shared::interest::{OnDemandLookup, PATIENCE, PendingLookup};
use crate::upstream::own::ClientUpstreams;

/// Where a client's connection came from and where it was going.
pub(crate) struct ClientOrigin {
    pub(crate) arrival: Arrival,
    pub(crate) destination: Destination,
    proxy_header: Option<Rc<ProxyHeader>>,
    /// What the client says of others behind it is believed. Where a peer speaks for it (PROXY) both must be trusted: the headers may be
    /// the client's own, for a balancer of bytes passes on what it is sent.
    pub(crate) trusted: bool,
    /// The client's address, as `X-Forwarded-For` has it.
    pub(crate) client_value: HeaderValue,
    /// `Forwarded` for the host that this client asked for last: most ask for one.
    pub(crate) forwarded: RefCell<Option<(HeaderValue, HeaderValue)>>,
    /// What the connection makes us hold.
    pub(crate) holder: Holder,
    /// The pulse of an HTTP/1 connection, which is idle between requests.
    pub(crate) pulse: Option<Arc<Pulse>>,
    /// What the client makes of the streams of an HTTP/2 connection.
    pub(crate) streams: Option<Rc<StreamCounts>>,
    pub(crate) memory: PinMemory,
    /// Connections to endpoints that are told of this client.
    pub(crate) own: ClientUpstreams,
    /// The last route of this connection: as long as the table has the same target, nothing needs to be looked up.
    route: RefCell<Option<Rc<Route>>>,
}

impl ClientOrigin {
    pub(crate) fn new(
        client_info: ClientInfo,
        holder: Holder,
        pulse: Option<Arc<Pulse>>,
        router: &Router,
    ) -> ClientOrigin {
        let ClientInfo { arrival, destination, proxy_header } = client_info;
        let ip = arrival.client.0.ip().to_canonical();
        let trusted = [ip, arrival.peer.ip()].map(|ip| is_trusted(ip, &router.config.limits.trusted_proxies));
        ClientOrigin {
            arrival,
            destination,
            proxy_header,
            trusted: trusted == [true; 2],
            client_value: HeaderValue::from_str(&ip.to_string()).expect("an address is a header value"),
            forwarded: RefCell::default(),
            holder,
            pulse,
            streams: None,
            memory: PinMemory::default(),
            own: ClientUpstreams::default(),
            route: RefCell::default(),
        }
    }

    /// Who this is, to endpoints that ask.
    pub(crate) fn client_info(&self) -> ClientInfo {
        ClientInfo {
            arrival: self.arrival,
            destination: self.destination,
            proxy_header: self.proxy_header.clone(),
        }
    }

    /// The route of a request. Waits where DNS must be asked first.
    pub(crate) async fn route<B>(&self, request: &Request<B>, router: &Router) -> Result<Routed, Failure> {
        let said = authority::authority(request)?;
        let authority = if said.is_empty() { self.meant() } else { said };
        let text = authority.to_str().map_err(|_| refused("a host is ASCII (RFC 3986 §3.2.2)"))?;
        let (route, waited) = match self.destination {
            Destination::Address(_) | Destination::Application(_) => {
                settled(self.route_unread(router)?, self.arrival.client, router).await?
            }
            Destination::Request => route_to_authority(text, self.arrival.client, router).await?,
        };
        let form = match request.uri().authority() {
            None => Form::Origin,
            Some(_) => form(request, text, self.destination, &route, &router.table.load()),
        };
        Ok(Routed { route, authority, form, waited })
    }

    /// Whom a request is for that does not say, as HTTP/1.0 need not: who is at the address that it was sent to (RFC 9112 §3.3). Health
    /// checks of balancers are such requests, and an endpoint that hears of them as HTTP/1.1 may insist on a host.
    fn meant(&self) -> HeaderValue {
        let addr = match self.destination {
            Destination::Address(addr) => addr,
            Destination::Application(local_target) => local_target.known_as,
            Destination::Request => return HeaderValue::from_static(""),
        };
        HeaderValue::from_str(&addr.to_string()).expect("an address is a header value")
    }

    /// The route of everything on this connection, whatever it says.
    pub(crate) fn route_unread(&self, router: &Router) -> Result<Rc<Route>, Failure> {
        let addr = match self.destination {
            Destination::Address(addr) => addr,
            Destination::Application(local_target) => return Ok(router.application(local_target)),
            Destination::Request => return Err(Failure::BadRequest),
        };
        let table = router.table.load();
        let target = table.by_destination(Transport::Tcp, addr).ok_or(Failure::UnknownDestination)?;
        Ok(self.cached(target, router))
    }

    /// Who wants to go where by a request with these headers, to the balancer of `route`.
    pub(crate) fn caller(&self, route: &Route, headers: &HeaderMap, router: &Router) -> Caller {
        let mut caller = caller(self.arrival.client, self.destination, route);
        if self.trusted {
            let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
            let (listed, elements) = (values(X_FORWARDED_FOR), values(FORWARDED));
            caller.client =
                client_behind(caller.client, &router.config.limits.trusted_proxies, listed, elements);
        }
        caller
    }

    fn cached(&self, target: &Arc<Target>, router: &Router) -> Rc<Route> {
        let mut cached = self.route.borrow_mut();
        match &*cached {
            Some(route) if Arc::ptr_eq(&route.target, target) => route.clone(),
            Some(_) | None => cached.insert(router.route(target)).clone(),
        }
    }
}

/// Who wants to go where, to the balancer of `route`.
pub(crate) fn caller(client: ClientAddr, destination: Destination, route: &Route) -> Caller {
    let client = client.0.ip().to_canonical();
    let destination = match destination {
        Destination::Address(addr) => addr.ip().to_canonical(),
        Destination::Application(local_target) => local_target.known_as.ip(),
        Destination::Request => return Caller::of_request(client, &route.target.service),
    };
    Caller { client, destination }
}

/// Where a request goes.
pub(crate) struct Routed {
    pub(crate) route: Rc<Route>,
    pub(crate) authority: HeaderValue,
    /// How the endpoint is told the target.
    pub(crate) form: Form,
    /// How much of its time is gone.
    pub(crate) waited: Duration,
}

/// The route to the Service that `authority` names to `client`, and how long it took to learn of it: no time where the table knows it.
pub(crate) async fn route_to_authority(
    authority: &str,
    client: ClientAddr,
    router: &Router,
) -> Result<(Rc<Route>, Duration), Failure> {
    match look_up(authority, client, router) {
        Ok(route) => Ok((route, Duration::ZERO)),
        Err(Unrouted::Failed(failure)) => Err(failure),
        Err(Unrouted::Asked(answer)) => {
            Box::pin(learn(|| look_up(authority, client, router), answer, router)).await // rare: not part of every future
        }
    }
}

/// A route whose endpoints are known, as most are; the same once DNS has told them to `client`, and how long that took.
pub(crate) async fn settled(
    route: Rc<Route>,
    client: ClientAddr,
    router: &Router,
) -> Result<(Rc<Route>, Duration), Failure> {
    if route.target.is_settled() {
        return Ok((route, Duration::ZERO));
    }
    match look_again(&route, client, router) {
        Ok(route) => Ok((route, Duration::ZERO)),
        Err(Unrouted::Failed(failure)) => Err(failure),
        Err(Unrouted::Asked(answer)) => {
            Box::pin(learn(|| look_again(&route, client, router), answer, router)).await
        }
    }
}

/// Why there is no route.
enum Unrouted {
    Failed(Failure),
    /// DNS or the API server has been asked: when this is over, the table knows more.
    Asked(Box<PendingLookup>),
}

impl Unrouted {
    fn of(asked: Result<PendingLookup, Failure>) -> Unrouted {
        asked.map_or_else(Unrouted::Failed, |answer| Unrouted::Asked(Box::new(answer)))
    }
}

fn look_again(route: &Rc<Route>, client: ClientAddr, router: &Router) -> Result<Rc<Route>, Unrouted> {
    let route = router.renewed(route).ok_or(Unrouted::Failed(Failure::UnknownDestination))?;
    if route.target.is_settled() {
        return Ok(route);
    }
    Err(ask_endpoints(&route.target, client, router))
}

fn look_up(text: &str, client: ClientAddr, router: &Router) -> Result<Rc<Route>, Unrouted> {
    let authority = Authority::parse(text).map_err(|_| {
        Unrouted::Failed(refused("what the forward proxy looks up is a DNS name or an address"))
    })?;
    let table = router.table.load();
    match table.by_authority(&authority) {
        Ok(target) if target.is_settled() => Ok(router.route(target)),
        Ok(target) => Err(ask_endpoints(target, client, router)),
        Err(_) => match ask_namespace(&authority, &table, client, router) {
            Some(answer) => Err(Unrouted::Asked(Box::new(answer))),
            None => {
                let absolute = has_final_dot(text);
                Err(ask(want_host(&authority, absolute, &table), client, router))
            }
        },
    }
}

fn ask(want: Result<OnDemandLookup, Failure>, client: ClientAddr, router: &Router) -> Unrouted {
    Unrouted::of(want.and_then(|want| router.shared.wanted.ask(want, client.0.ip().to_canonical())))
}

/// Asks for the endpoints of a Service that the table has: the API server where it tells those of Services in use, else DNS.
fn ask_endpoints(target: &Target, client: ClientAddr, router: &Router) -> Unrouted {
    match target.pending() {
        Some(service) => {
            let want = Want::Service(service.clone());
            Unrouted::of(router.shared.api_wanted.ask(want, client.0.ip().to_canonical()))
        }
        None => ask(want_endpoints(target), client, router),
    }
}

/// Asks the API server for a Service of another namespace, whose Services are not watched. `None` where DNS is to be asked: the host is
/// not of the form `name.namespace.svc`, or the API server does not know it. (Hosts of two labels are rarely Services.)
fn ask_namespace(
    authority: &Authority<'_>,
    table: &Table,
    client: ClientAddr,
    router: &Router,
) -> Option<PendingLookup> {
    let discovery = &router.config.discovery;
    let UriHost::Name(host) = authority.host else { return None };
    let (namespace, name) = split_service(host, &discovery.namespace, &discovery.cluster_domain)?;
    let is_full = host.split('.').nth(2).is_some();
    if !is_full || namespace.eq_ignore_ascii_case(&discovery.namespace) || table.by_host(host).is_some() {
        return None;
    }
    let [namespace, name] = [namespace, name].map(str::to_ascii_lowercase);
    let service = Want::Service(ServiceName::new(&*namespace, &*name));
    router.shared.api_wanted.ask(service, client.0.ip().to_canonical()).ok()
}

/// Whether a host is absolute, which an [`Authority`] does not tell.
fn has_final_dot(authority: &str) -> bool {
    authority.split(':').next().is_some_and(|host| host.ends_with('.'))
}

/// The lookup in DNS of the host in `authority`, which the table does not have.
fn want_host(authority: &Authority<'_>, absolute: bool, table: &Table) -> Result<OnDemandLookup, Failure> {
    let Unasked { host, port, absolute: is_name, .. } = table.unasked(authority)?;
    let dot = if absolute || is_name { "." } else { "" };
    Ok(OnDemandLookup::Host(format!("{}{dot}", host.to_ascii_lowercase()).into(), port))
}

/// What DNS is to be asked for, so that a target that is known has endpoints.
fn want_endpoints(target: &Target) -> Result<OnDemandLookup, Failure> {
    match (target.failure, &target.name) {
        (Some(failure), _) => Err(failure),
        (None, Some(name)) => Ok(OnDemandLookup::Name(name.clone())),
        (None, None) => Err(Failure::NoEndpoints),
    }
}

/// Waits until the answer is there, no longer than the request may take, and looks again.
async fn learn(
    look: impl Fn() -> Result<Rc<Route>, Unrouted>,
    answer: Box<PendingLookup>,
    router: &Router,
) -> Result<(Rc<Route>, Duration), Failure> {
    let begun = clock::now();
    let mut answer = answer;
    let learning = async {
        for _round in 0..ROUNDS_MAX {
            answer.wait().await?;
            match look() {
                Ok(route) => return Ok(route),
                Err(Unrouted::Failed(failure)) => return Err(failure),
                Err(Unrouted::Asked(next)) => answer = next,
            }
        }
        Err(Failure::NameFailed)
    };
    let limit = router.config.deadlines.request.map_or(WAIT_MAX, |request| request.min(WAIT_MAX));
    let route = timeout(limit, learning).await.unwrap_or(Err(Failure::NameTimeout))?;
    Ok((route, clock::now().since(begun)))
}

/// The source gives up first, and says why; this is for when it cannot.
const WAIT_MAX: Duration = PATIENCE.saturating_add(Duration::from_secs(1));

/// One for the name, one where its addresses go again before they are used, and some.
const ROUNDS_MAX: usize = 4;
