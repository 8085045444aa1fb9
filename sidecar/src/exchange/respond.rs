//! What a client is told when a request fails.

use std::sync::Arc;

use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use svc_core::grpc;
use svc_core::outcome::Failure;
use svc_proto::names::{PROXY_NAME, header};

use super::account::Account;
use super::body::ResponseBody;
use crate::http::dialect::Dialect;
use crate::http::pulse::Pulse;

/// The answer to a request that failed.
pub(crate) fn failure(
    failure: Failure,
    dialect: Dialect,
    mut account: Account,
    pulse: Option<Arc<Pulse>>,
) -> Response<ResponseBody> {
    if dialect == Dialect::Grpc {
        account.answered(StatusCode::OK.as_u16());
    }
    account.failed(failure);
    let verdict = failure.verdict();
    let told = account.tell(failure);
    let text = match dialect {
        Dialect::Http => format!("{PROXY_NAME}: {told}\n"),
        Dialect::Grpc => String::new(),
    };
    let over_http1 = pulse.is_some();
    let is_early = is_early(pulse.as_ref());
    let mut response = Response::new(ResponseBody::local(text, account, pulse));
    let headers = response.headers_mut();
    if is_early || (over_http1 && is_unread(failure)) {
        // Whoever sent what is malformed may see the next request somewhere else in these bytes than we do (RFC 9112 §11.2).
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let proxy_status = format!("{PROXY_NAME}; error={}; details=\"{told}\"", verdict.proxy_error);
    headers
        .insert(header::PROXY_STATUS, HeaderValue::from_str(&proxy_status).expect("failures are plain text"));
    if failure == Failure::TraceRefused {
        headers.insert(ALLOW, HeaderValue::from_static("OPTIONS")); // RFC 9110 §15.5.6
    }
    match dialect {
        Dialect::Http => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            *response.status_mut() = StatusCode::from_u16(verdict.status).expect("the table holds statuses");
        }
        Dialect::Grpc => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers
                .insert("grpc-status", HeaderValue::from_static(grpc::Status::of_failure(failure).as_str()));
            let message = HeaderValue::from_str(&format!("{PROXY_NAME}: {told}"));
            headers.insert("grpc-message", message.expect("failures are plain text"));
        }
    }
    response
}

/// Whether all that a client sends behind such a request is unknown.
fn is_unread(failure: Failure) -> bool {
    matches!(failure, Failure::BadRequest | Failure::HeadTooLarge | Failure::TargetTooLong)
}

/// The answer to a client that asked about the proxy itself (OPTIONS with `Max-Forwards: 0`): that it is here. What may be asked of the
/// Services behind it they say themselves.
pub(crate) fn here(mut account: Account, pulse: Option<Arc<Pulse>>) -> Response<ResponseBody> {
    account.answered(StatusCode::NO_CONTENT.as_u16());
    account.done();
    let is_early = is_early(pulse.as_ref());
    let mut response = Response::new(ResponseBody::local("", account, pulse));
    *response.status_mut() = StatusCode::NO_CONTENT;
    if is_early {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(header::PROXY_STATUS, HeaderValue::from_static(HERE));
    response
}

/// Whether an answer comes before the end of its request. It is then the last of its connection, and says so (RFC 9112 §9.6): its client
/// need not send the rest.
pub(crate) fn is_early(pulse: Option<&Arc<Pulse>>) -> bool {
    pulse.is_some_and(|pulse| pulse.is_unheard())
}

/// Begins with [`PROXY_NAME`].
const HERE: &str = "svcmesh; details=\"Max-Forwards is spent\"";

/// Trailers that tell a gRPC client how an answer that had begun has ended.
pub(crate) fn grpc_trailers(status: grpc::Status, told: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert("grpc-status", HeaderValue::from_static(status.as_str()));
    let message = HeaderValue::from_str(&format!("{PROXY_NAME}: {told}"));
    trailers.insert("grpc-message", message.expect("failures are plain text"));
    trailers
}
