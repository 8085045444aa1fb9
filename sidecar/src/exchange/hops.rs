//! How far a request may go that asks about the way: TRACE and OPTIONS (RFC 9110 §7.6.2).

use std::ops::ControlFlow;

use hyper::body::Body as _;
use hyper::header::{HeaderValue, MAX_FORWARDS};
use hyper::{Method, Request};
use svc_core::max_forwards::{Hops, hops, is_counted};
use svc_core::outcome::Failure;

use crate::http::authority::authority;
use crate::http::client_body::ClientBody;
use crate::http::headers::is_plainly_framed;

/// Takes this hop off what a request has left. Breaks where it ends here: with a failure, or as one that asked what we can do.
///
/// TRACE is passed on like any method, but not answered: an echo would show what was added on the way, and credentials to scripts that
/// may not see them, and nobody needs it from a proxy that says `Via`.
pub(crate) fn spend(request: &mut Request<ClientBody>) -> ControlFlow<Result<(), Failure>> {
    if !is_counted(request.method().as_str()) {
        return ControlFlow::Continue(());
    }
    match left(request) {
        Ok(Hops::Any) => ControlFlow::Continue(()),
        Ok(Hops::Left(hops)) => {
            request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(hops));
            ControlFlow::Continue(())
        }
        Ok(Hops::Spent) if request.method() == Method::TRACE => {
            ControlFlow::Break(Err(Failure::TraceRefused))
        }
        Ok(Hops::Spent) => ControlFlow::Break(Ok(())),
        Err(failure) => ControlFlow::Break(Err(failure)),
    }
}

/// What a well-formed request has left.
fn left(request: &Request<ClientBody>) -> Result<Hops, Failure> {
    let (method, body) = (request.method(), request.body());
    let traces_content = method == Method::TRACE && !body.is_end_stream(); // RFC 9110 §9.3.8: it has none
    if traces_content || !is_plainly_framed(request.headers(), body) {
        return Err(Failure::BadRequest);
    }
    authority(request)?;
    let values = request.headers().get_all(MAX_FORWARDS).iter().map(HeaderValue::as_bytes);
    hops(method.as_str(), values).map_err(|_| Failure::BadRequest)
}
