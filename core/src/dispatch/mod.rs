//! One request, whole: where it goes, and what is changed of it on its way there.
//!
//! For a worker that shares nothing, has all of a request's head at once, and asks nobody: the sidecar takes the same steps one by one,
//! for between them it may have to wait for DNS.

use alloc::sync::Arc;
use core::net::IpAddr;

use ipnet::IpNet;
use svc_proto::names::header;

use crate::balance::{Ask, Caller, Tried};
use crate::forwarding::{
    HeaderFields, HttpVersion, Provenance, Telling, Told, client_behind, is_trusted, tell,
};
use crate::outcome::Failure;
use crate::port::{AttemptHandle, WorkerPorts};
use crate::retry::is_idempotent;
use crate::service::Unit;
use crate::table::Target;
use crate::time::Now;

mod memo;
mod resolve;

pub use memo::Memo;
pub use resolve::{MalformedServiceRef, ServiceRef, resolve};

/// The head of a request.
#[derive(Debug)]
pub struct Request<'a, F: ?Sized> {
    /// The method.
    pub method: &'a str,
    /// Whom it asks for.
    pub authority: &'a str,
    /// How it came: `http` or `https`.
    pub scheme: &'a str,
    /// In which version of HTTP.
    pub version: HttpVersion,
    /// Who sent it: the peer, or whom a trusted PROXY header tells of.
    pub peer: IpAddr,
    /// Its header fields.
    pub fields: &'a F,
}

/// What an operator decides about requests.
#[derive(Clone, Copy, Debug)]
pub struct DispatchSettings<'a> {
    /// Those whose forwarding headers are believed.
    pub trusted_proxies: &'a [IpNet],
    /// What endpoints are told.
    pub telling: Telling,
}

/// Where a request goes.
#[derive(Debug)]
pub struct Dispatched<'a> {
    /// At this endpoint. The attempt has begun.
    pub attempt: AttemptHandle,
    /// Where the endpoint is among the usable ones of its port.
    pub index: usize,
    /// What it asks for from now on, where that is something else: the name that the endpoints go by.
    pub authority: Option<Arc<str>>,
    /// What becomes of its forwarding headers.
    pub told: Told<'a>,
}

/// What is changed of a request on its way, whoever picks its endpoint.
#[derive(Debug)]
pub struct Edited<'a> {
    /// Whom it is from, as far as that can be believed.
    pub client: IpAddr,
    /// What it asks for from now on, where that is something else: the name that the endpoints go by.
    pub authority: Option<Arc<str>>,
    /// What becomes of its forwarding headers.
    pub told: Told<'a>,
}

/// Decides what a request for the port that `target` is says from now on.
///
/// # Errors
/// Those of [`tell`].
pub fn edit<'a, F: HeaderFields + ?Sized>(
    target: &Target,
    request: &Request<'a, F>,
    settings: DispatchSettings<'_>,
) -> Result<Edited<'a>, Failure> {
    let from = provenance(request, settings.trusted_proxies);
    Ok(Edited {
        client: from.client,
        authority: target.rewrite.as_ref().and_then(|rewrite| rewrite.authority.clone()),
        told: tell(request.fields, &from, settings.telling)?,
    })
}

/// Decides about a request for the port that `target` is: whom it is from, what its endpoint is told, and which one that is. `draw` is asked as
/// [`WorkerPort::choose`](crate::port::WorkerPort::choose) does.
///
/// Allocates only what headers are told, and where the port is used for the first time, is not as it was, or pins another client.
///
/// # Errors
/// Why it goes nowhere: those of [`tell`], then those of [`WorkerPort::choose`](crate::port::WorkerPort::choose).
pub fn dispatch<'a, F: HeaderFields + ?Sized>(
    target: &Arc<Target>,
    ports: &mut WorkerPorts,
    request: &Request<'a, F>,
    settings: DispatchSettings<'_>,
    now: Now,
    draw: impl FnOnce() -> u64,
) -> Result<Dispatched<'a>, Failure> {
    let Edited { client, authority, told } = edit(target, request, settings)?;
    let caller = Caller::of_request(client, &target.service);
    // As far as it is seen here, it can be sent again: nothing of it has been sent.
    let ask = Ask { caller, tried: &Tried::NONE, replayable: is_idempotent(request.method) };
    let port = ports.of(target, now);
    let choice = port.choose(Unit::Request, &ask, now, draw)?;
    Ok(Dispatched { index: choice.index, attempt: port.begin(choice, now), authority, told })
}

/// Whom a request is from.
fn provenance<'a, F: HeaderFields + ?Sized>(request: &Request<'a, F>, trusted: &[IpNet]) -> Provenance<'a> {
    let Request { scheme, version, authority, .. } = *request;
    let peer = request.peer.to_canonical();
    let is_trusted = is_trusted(peer, trusted);
    let client = match is_trusted {
        true => {
            let values = |name| request.fields.values(name);
            client_behind(peer, trusted, values(header::X_FORWARDED_FOR), values(header::FORWARDED))
        }
        false => peer,
    };
    Provenance { peer, trusted: is_trusted, client, scheme, version, authority }
}

#[cfg(test)]
mod tests;
