//! WebSocket over HTTP/2 (RFC 8441): a stream of the client's connection, carried to an endpoint as the upgrade of RFC 6455.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::ext::Protocol;
use hyper::header::{self, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use svc_core::outcome::Failure;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional};

use super::account::Account;
use super::body::ResponseBody;
use super::client_body::ClientBody;
use super::forward::turn;
use super::mesh::Mesh;
use super::resolve::Origin;
use super::respond::{self, Dialect};
use super::roster::Pulse;
use super::tunnel;
use super::upgrade::{self, Answer};
use super::upstream::UpstreamIo;
use crate::metrics::Closed;

const WEBSOCKET: &str = "websocket";

/// Whether this is an extended CONNECT for a WebSocket (RFC 8441 §4). One for anything else is a CONNECT like any other.
pub(crate) fn is_wanted(request: &Request<ClientBody>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case(WEBSOCKET))
}

/// Carries the request; what follows a `101`, which is a `200` to the client, is a tunnel.
pub(crate) async fn exchange(
    mut request: Request<ClientBody>,
    origin: &Origin,
    mesh: &Rc<Mesh>,
    mut account: Account,
) -> Response<ResponseBody> {
    let upgraded = hyper::upgrade::on(&mut request);
    into_upgrade(&mut request, mesh);
    let protocol = HeaderValue::from_static(WEBSOCKET);
    let asked = upgrade::ask(request, &protocol, origin, mesh, &mut account).await;
    let answer = match asked.and_then(believed) {
        Ok(answer) => answer,
        Err(failure) => return respond::failure(failure, Dialect::Http, account, origin.pulse.clone()),
    };
    if !answer.switches() {
        return answer.into_response(account, origin);
    }
    let Answer { mut head, connection, .. } = answer;
    head.status = StatusCode::OK;
    turn(&mut head, origin);
    // Neither means anything in HTTP/2 (RFC 8441 §5), and with a length there would be no tunnel (RFC 9110 §9.3.6).
    for name in [header::SEC_WEBSOCKET_ACCEPT, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    account.connected();
    account.answered(head.status.as_u16());
    account.switches();
    let (mesh, (io, read)) = (mesh.clone(), connection.into_upgraded());
    tokio::task::spawn_local(async move { join(upgraded, io, read, account, &mesh).await });
    Response::from_parts(head, ResponseBody::tunnel())
}

/// Makes an HTTP/1.1 client's request of it (RFC 6455 §4.1). What follows the head is not its body.
fn into_upgrade(request: &mut Request<ClientBody>, mesh: &Mesh) {
    *request.method_mut() = Method::GET;
    let nonce = u128::from(mesh.draw()) << 64 | u128::from(mesh.draw());
    let key = HeaderValue::from_str(&base64(nonce)).expect("the alphabet is plain text");
    request.headers_mut().insert(header::SEC_WEBSOCKET_KEY, key);
}

/// 128 bits are 21 letters of six, one of the last two, and padding (RFC 4648 §4).
fn base64(nonce: u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u128| char::from(ALPHABET[(bits & 0x3f) as usize]);
    let mut text: String = (0..21).map(|index| letter(nonce >> (122 - 6 * index))).collect();
    text.push(letter(nonce << 4));
    text + "=="
}

/// To the client any 2xx would say that there is a WebSocket: from an endpoint only a `101` to that protocol may.
fn believed(answer: Answer) -> Result<Answer, Failure> {
    let agreed = answer
        .agreed
        .as_ref()
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes()));
    match answer.switches() {
        true if !agreed => Err(Failure::BadResponse),
        false if answer.head.status.is_success() => Err(Failure::BadResponse),
        true | false => Ok(answer),
    }
}

/// Joins the client's stream, once hyper hands it over, with the endpoint's connection.
async fn join(upgraded: OnUpgrade, mut upstream: UpstreamIo, read: Bytes, account: Account, mesh: &Rc<Mesh>) {
    let Ok(upgraded) = upgraded.await else {
        return account.fail(Failure::ClientGone);
    };
    let (pulse, line) = (Pulse::new(), upstream.line().clone());
    let mut client = Stream { io: TokioIo::new(upgraded), pulse: pulse.clone(), account, broken: false };
    let relayed = {
        let relaying = pin!(async {
            client.write_all(&read).await?;
            copy_bidirectional(&mut client, &mut upstream).await
        });
        tunnel::keep(relaying, &pulse, mesh.config.deadlines.idle_tcp, &line, mesh).await
    };
    match relayed {
        Ok(Ok(_)) => client.account.done(),
        Ok(Err(_)) if client.broken => client.account.failed(Failure::ClientGone),
        Ok(Err(_)) => {
            upstream.closed = Closed::Failed;
            client.account.failed(Failure::Truncated);
        }
        Err(ended) => client.account.failed(ended),
    }
}

/// The client's stream. It has the account, which then knows what has moved however the tunnel ends.
struct Stream {
    io: TokioIo<Upgraded>,
    /// The tunnel's own: the connection's beats for every stream.
    pulse: Arc<Pulse>,
    account: Account,
    /// It was this side that failed.
    broken: bool,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        if count > 0 {
            self.pulse.wrote();
            self.account.to_upstream_bytes += count as u64;
            self.account.moved();
        }
        self.noted(polled)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &polled {
            self.pulse.wrote();
            self.account.to_client_bytes += *count as u64;
            self.account.moved();
        }
        self.noted(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.noted(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.noted(polled)
    }
}

impl Stream {
    fn noted<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.broken |= matches!(polled, Poll::Ready(Err(_)));
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_nonce_in_base64() {
        let sample = u128::from_be_bytes(*b"the sample nonce"); // RFC 6455 §1.3
        assert_eq!(base64(sample), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(base64(u128::MAX), "/////////////////////w==");
    }
}
