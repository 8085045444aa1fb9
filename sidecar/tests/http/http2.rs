//! HTTP/2 peers: the h2 crate where a peer behaves, bytes where none would.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::backend::Talk;
use super::wire::Message;
use super::world::World;

/// What a backend does with a stream.
pub(crate) enum Does {
    /// Reads it all, says `ok`, and `grpc-status: 0` in the trailers.
    Answer,
    /// The same with another `grpc-status`, and nothing else.
    Fail(&'static str),
    /// Says that it did not look at it (REFUSED_STREAM).
    Refuse,
    /// Says `grpc-status: 14` and nothing else.
    Unavailable,
    /// Begins to answer, and never ends.
    Stall,
    /// Answers when the others have come.
    Meet(Arc<Barrier>),
}

/// Speaks HTTP/2 on a connection. `does` is told which connection and which of its streams.
pub(crate) fn speaks_http2(talk: &mut Talk, streams_max: u32, does: impl Fn(usize, usize) -> Does) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = TcpStream::from_std(talk.wire.socket()).expect("a socket that does not block");
        let mut builder = Builder::new();
        builder.max_concurrent_streams(streams_max);
        let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else { return };
        let mut stream = 0;
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            match does(talk.number, stream) {
                Does::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
                Does::Unavailable => {
                    let unavailable = Response::builder().header("grpc-status", "14").body(());
                    let unavailable = unavailable.expect("a response");
                    respond.send_response(unavailable, true).expect("the sidecar waits for its answer");
                }
                Does::Stall => {
                    drop(tokio::spawn(async move {
                        let mut sending = respond.send_response(Response::new(()), false)?;
                        sending.send_data(Bytes::from_static(b"ok"), false)?;
                        std::future::poll_fn(|cx| sending.poll_reset(cx)).await.map(drop)
                    }));
                }
                Does::Answer => drop(tokio::spawn(answer(request, respond, talk.keeper(), None))),
                Does::Fail(status) => drop(tokio::spawn(fail(request, respond, talk.keeper(), status))),
                Does::Meet(others) => {
                    drop(tokio::spawn(answer(request, respond, talk.keeper(), Some(others))))
                }
            }
            stream += 1;
        }
    });
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    keep: impl Fn(Message),
    others: Option<Arc<Barrier>>,
) {
    take(request, keep).await;
    if let Some(others) = others {
        others.wait().await;
    }
    let sent = respond.send_response(Response::new(()), false).and_then(|mut stream| {
        stream.send_data(Bytes::from_static(b"ok"), false)?;
        stream.send_trailers(status("0"))
    });
    sent.expect("the sidecar waits for its answer");
}

async fn fail(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    keep: impl Fn(Message),
    grpc_status: &'static str,
) {
    take(request, keep).await;
    let head = respond.send_response(Response::new(()), false);
    head.and_then(|mut stream| stream.send_trailers(status(grpc_status)))
        .expect("the sidecar waits for its answer");
}

fn status(grpc_status: &'static str) -> HeaderMap {
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static(grpc_status));
    HeaderMap::from_iter([status])
}

async fn take(request: Request<RecvStream>, keep: impl Fn(Message)) {
    let (head, body) = request.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let start = format!("{} {}", head.method, head.uri);
    let (body, _) = read(body).await;
    keep(Message { start, headers: headers.collect(), body, ..Message::default() });
}

/// Takes a stream, and says that it will take none (RFC 9113 §6.8): at first without a number, as one does before the last one is
/// known, then that not even the first was looked at.
pub(crate) fn goes_away(talk: &mut Talk) {
    const HEADERS: u8 = 0x01;
    talk.wire.send([0, 0, 0, 0x04, 0, 0, 0, 0, 0]); // SETTINGS, empty
    let Ok(_preface) = talk.wire.bytes(24) else { return };
    loop {
        let Ok(frame) = talk.wire.bytes(9) else { return };
        let payload = usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
        let Ok(_payload) = talk.wire.bytes(payload) else { return };
        if frame[3] == HEADERS {
            for last in [[0x7f, 0xff, 0xff, 0xff], [0; 4]] {
                talk.wire.send([[0, 0, 8, 0x07, 0, 0, 0, 0, 0].as_slice(), &last, &[0; 4]].concat());
            }
        }
    }
}

/// A client of the Service that knows it to speak HTTP/2.
pub(crate) async fn connect(world: &World) -> SendRequest<Bytes> {
    let socket = TcpStream::from_std(world.client().socket()).expect("a socket that does not block");
    let (client, connection) = h2::client::handshake(socket).await.expect("the sidecar speaks HTTP/2");
    tokio::spawn(connection);
    client
}

/// Asks: the response, its body and its `grpc-status`.
pub(crate) async fn answer_of(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
) -> (Response<()>, String, Option<String>) {
    answer_to(client, request, Bytes::new()).await
}

/// The same for a request with a body.
pub(crate) async fn answer_to(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> (Response<()>, String, Option<String>) {
    let (response, mut sending) =
        client.send_request(request, body.is_empty()).expect("a request that h2 sends");
    if !body.is_empty() {
        sending.send_data(body, true).expect("h2 takes data while the stream is open");
    }
    let (head, body) = response.await.expect("a response").into_parts();
    let (body, trailers) = read(body).await;
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    let status = status.map(|status| String::from_utf8_lossy(status.as_bytes()).into_owned());
    (Response::from_parts(head, ()), body, status)
}

async fn read(mut body: RecvStream) -> (String, Option<HeaderMap>) {
    let mut text = String::new();
    while let Some(Ok(data)) = body.data().await {
        text += &String::from_utf8_lossy(&data);
    }
    (text, body.trailers().await.ok().flatten())
}
