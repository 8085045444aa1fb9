//! An endpoint that speaks HTTP/2: it records whole requests, and answers what their paths say.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use tokio::task::spawn_local;

use super::plan::{Answer, Body, Cut, Dice, Framed, Sum, TRAILER, content, of_path};
use super::recorder::Recorder;

/// Starts it; it ends with the process.
pub(crate) fn start(recorder: Arc<Recorder>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("a TCP socket");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it does not block");
            while let Ok((stream, _)) = listener.accept().await {
                let recorder = recorder.clone();
                drop(spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        drop(spawn_local(serve(request, respond, recorder.clone())));
                    }
                }));
            }
        });
    });
    address
}

async fn serve(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, recorder: Arc<Recorder>) {
    let Some((id, answer)) = of_path(request.uri().path()) else {
        return recorder.strange(format!("an endpoint was sent {}", request.uri()));
    };
    match read(request.into_body()).await {
        Some(body) => recorder.sees(id, body),
        None => return,
    }
    let (body, cut) = match answer {
        Answer::Nothing(cut) => return respond.send_reset(reason(cut)),
        Answer::Whole(body) => (body, None),
        Answer::Half(body, cut) => (body, Some(cut)),
    };
    let mut head = Response::builder().header("x-id", id);
    if body.framed == Framed::Length {
        head = head.header("content-length", body.bytes);
    }
    let head = head.body(()).expect("a response");
    let Ok(mut stream) = respond.send_response(head, false) else { return };
    let dice = Dice::of([id, 2, 0, 0]);
    match cut {
        None => send(&mut stream, id, body, &dice).await,
        Some(cut) => {
            send_data(&mut stream, id, body.bytes / 2, &dice).await;
            tokio::task::yield_now().await;
            stream.send_reset(reason(cut));
        }
    }
}

fn reason(cut: Cut) -> Reason {
    match cut {
        Cut::NoError => Reason::NO_ERROR,
        Cut::Cancel => Reason::CANCEL,
        Cut::Internal | Cut::Closed | Cut::Reset => Reason::INTERNAL_ERROR,
    }
}

/// A body to its end: nothing where it has none.
pub(crate) async fn read(mut body: RecvStream) -> Option<Sum> {
    let mut sum = Sum::NOTHING;
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        sum.add(&piece);
        let _gone = body.flow_control().release_capacity(piece.len());
    }
    body.trailers().await.ok()?;
    Some(sum)
}

/// Sends all of a body; a peer that has gone hears no more.
pub(crate) async fn send(stream: &mut SendStream<Bytes>, id: u64, body: Body, dice: &Dice) {
    send_data(stream, id, body.bytes, dice).await;
    let _gone = if body.framed == Framed::Trailers {
        let trailer = (HeaderName::from_static(TRAILER.0), HeaderValue::from_static(TRAILER.1));
        stream.send_trailers(HeaderMap::from_iter([trailer]))
    } else {
        stream.send_data(Bytes::new(), true)
    };
}

/// Sends the first `bytes` of a body in frames, large and small.
pub(crate) async fn send_data(stream: &mut SendStream<Bytes>, id: u64, bytes: usize, dice: &Dice) {
    let mut sent = 0;
    while sent < bytes {
        stream.reserve_capacity(bytes - sent);
        // What is there already is not told again.
        if stream.capacity() == 0
            && !matches!(std::future::poll_fn(|cx| stream.poll_capacity(cx)).await, Some(Ok(_)))
        {
            return;
        }
        let room = stream.capacity();
        let size =
            if dice.percent(40) { 1 + dice.below(room.clamp(1, 16)) } else { 1 + dice.below(room.max(1)) };
        let size = size.min(bytes - sent).min(room);
        if stream.send_data(content(id, sent, size).into(), false).is_err() {
            return;
        }
        sent += size;
        if dice.percent(20) {
            tokio::task::yield_now().await;
        }
    }
}
