//! WebSocket over HTTP/2 (RFC 8441): a stream of the client's connection, carried to an endpoint as the upgrade of RFC 6455.

mod tunnel;

use std::rc::Rc;

use data_encoding::BASE64;
use h2::ext::Protocol;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use svc_core::outcome::Failure;

use super::account::Account;
use super::body::ResponseBody;
use super::forward::turn;
use super::respond;
use super::upgrade::{self, UpgradeAnswer};
use crate::context::WorkerContext;
use crate::http::client_body::ClientBody;
use crate::http::dialect::Dialect;
use crate::routing::resolve::ClientOrigin;

pub(crate) use tunnel::Tunnel;

const WEBSOCKET: &str = "websocket";

/// Whether this is an extended CONNECT for a WebSocket (RFC 8441 §4). One for anything else is a CONNECT like any other.
pub(crate) fn is_wanted(request: &Request<ClientBody>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case(WEBSOCKET))
}

/// Carries the request; what follows a `101`, which is a `200` to the client, is a tunnel.
pub(crate) async fn exchange(
    request: Request<ClientBody>,
    origin: &ClientOrigin,
    context: &Rc<WorkerContext>,
    mut account: Account,
) -> Response<ResponseBody> {
    let (request, client) = into_upgrade(request, context);
    let protocol = HeaderValue::from_static(WEBSOCKET);
    let asked = upgrade::ask(request, Some(&protocol), origin, context, &mut account).await;
    let answer = match asked.and_then(believed) {
        Ok(answer) => answer,
        Err(failure) => return respond::failure(failure, Dialect::Http, account, origin.pulse.clone()),
    };
    if !answer.switches() {
        return answer.into_response(account, origin);
    }
    let UpgradeAnswer { mut head, connection, .. } = answer;
    head.status = StatusCode::OK;
    turn(&mut head, origin);
    // Neither means anything in HTTP/2 (RFC 8441 §5), and with a length there would be no tunnel (RFC 9110 §9.3.6).
    for name in [header::SEC_WEBSOCKET_ACCEPT, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    account.connected();
    account.answered(head.status.as_u16());
    account.switches();
    let (upstream, read) = connection.into_upgraded();
    Response::from_parts(head, ResponseBody::tunnelled(Tunnel { client, upstream, read, account }))
}

/// Makes an HTTP/1.1 client's request of it (RFC 6455 §4.1). What follows the head is not its body, but the tunnel's.
fn into_upgrade(request: Request<ClientBody>, context: &WorkerContext) -> (Request<ClientBody>, ClientBody) {
    let (head, client) = request.into_parts();
    let mut request = Request::from_parts(head, ClientBody::Empty);
    *request.method_mut() = Method::GET;
    let nonce = u128::from(context.draw()) << 64 | u128::from(context.draw());
    let key = HeaderValue::from_str(&key(nonce)).expect("the alphabet is plain text");
    request.headers_mut().insert(header::SEC_WEBSOCKET_KEY, key);
    (request, client)
}

/// 16 bytes in base64 (RFC 6455 §4.1).
fn key(nonce: u128) -> String {
    BASE64.encode(&nonce.to_be_bytes())
}

/// To the client any 2xx would say that there is a WebSocket: from an endpoint only a `101` to that protocol may.
fn believed(answer: UpgradeAnswer) -> Result<UpgradeAnswer, Failure> {
    match answer.switches() {
        true if !answer.agrees_on(&HeaderValue::from_static(WEBSOCKET)) => Err(Failure::BadResponse),
        false if answer.head.status.is_success() => Err(Failure::BadResponse),
        true | false => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_nonce_in_base64() {
        let sample = u128::from_be_bytes(*b"the sample nonce"); // RFC 6455 §1.3
        assert_eq!(key(sample), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key(u128::MAX), "/////////////////////w==");
    }
}
