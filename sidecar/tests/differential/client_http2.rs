//! A client that speaks HTTP/2: streams side by side, some of which have no end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use hyper::Request;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::endpoint_http2::{read, send, send_data};
use super::plan::{Answer, Dice, Framed, Stream, Sum, Version};
use super::recorder::{Message, Recorder, Sent, Wanted};

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    None,
    /// Half of its body, then RST_STREAM.
    Reset(Reason),
    /// RST_STREAM after all of its body but without END_STREAM.
    Unended(Reason),
    /// Its `content-length` is more, or less, than what comes before END_STREAM.
    Long,
    Short,
}

pub(crate) async fn converse(
    address: &str,
    endpoint: Version,
    dice: &Dice,
    next: &AtomicU64,
    recorder: &Recorder,
) {
    let socket = TcpStream::connect(address).await.expect("the sidecar listens");
    let abrupt = dice.percent(10);
    if abrupt {
        let linger = dice.of_two(None, Some(Duration::ZERO)); // FIN or RST
        socket2::SockRef::from(&socket).set_linger(linger).expect("a TCP socket");
    }
    let (client, connection) = h2::client::handshake(socket).await.expect("the sidecar speaks HTTP/2");
    let connection = tokio::spawn(connection);
    if abrupt {
        leave(client, endpoint, dice, next, recorder).await;
        return connection.abort();
    }
    let streams = (0..1 + dice.below(6)).map(|number| {
        let stream = Stream::new(next.fetch_add(1, Relaxed), endpoint, dice);
        let harm = harm(&stream, dice);
        let own = Dice::of([stream.id, 3, number as u64, 0]);
        let client = client.clone();
        async move { ask(client, stream, harm, endpoint, &own, recorder).await }
    });
    let streams: Vec<_> = streams.collect();
    super::join_all(streams).await;
    connection.abort();
}

fn harm(stream: &Stream, dice: &Dice) -> Harm {
    if stream.request.bytes < 2 {
        return Harm::None;
    }
    let reason = [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR][dice.below(3)];
    match dice.below(100) {
        ..60 => Harm::None,
        60..78 => Harm::Reset(reason),
        78..90 => Harm::Unended(reason),
        90..95 => Harm::Long,
        _ => Harm::Short,
    }
}

fn head(stream: &Stream, length: Option<usize>) -> Request<()> {
    let mut head = Request::builder().method(stream.method()).uri(format!("http://web{}", stream.path()));
    if let Some(length) = length {
        head = head.header("content-length", length);
    }
    head.body(()).expect("a request")
}

/// Begins a request, and is gone in the midst of it.
async fn leave(
    mut client: SendRequest<Bytes>,
    endpoint: Version,
    dice: &Dice,
    next: &AtomicU64,
    recorder: &Recorder,
) {
    let mut stream = Stream::new(next.fetch_add(1, Relaxed), endpoint, dice);
    stream.request.framed = Framed::Chunked;
    stream.request.bytes = stream.request.bytes.max(2);
    recorder.sends(stream.id, sent(&stream, Message::Cut, Wanted::AtMostOne));
    let Ok((_answer, mut body)) = client.send_request(head(&stream, None), false) else { return };
    let half = send_data(&mut body, stream.id, stream.request.bytes / 2, dice);
    let _endpoint_reads_no_more = timeout(PATIENCE, half).await;
    for _ in 0..dice.below(20) {
        tokio::task::yield_now().await; // so that some of it is on its way
    }
}

fn sent(stream: &Stream, message: Message, records: Wanted) -> Sent {
    let repeats = matches!(stream.answer, Answer::Nothing(_));
    Sent { message, body: Sum::of(stream.id, stream.request.bytes), records, repeats }
}

async fn ask(
    mut client: SendRequest<Bytes>,
    stream: Stream,
    harm: Harm,
    endpoint: Version,
    dice: &Dice,
    recorder: &Recorder,
) {
    let (id, request) = (stream.id, stream.request);
    let (message, records) = match harm {
        Harm::None => (Message::Whole, Wanted::One),
        Harm::Reset(_) | Harm::Unended(_) | Harm::Long | Harm::Short => (Message::Cut, Wanted::AtMostOne),
    };
    recorder.sends(id, sent(&stream, message, records));
    let length = match (harm, request.framed) {
        (Harm::Long, _) => Some(request.bytes + 1 + dice.below(100)),
        (Harm::Short, _) => Some(request.bytes - 1),
        (Harm::None | Harm::Reset(_) | Harm::Unended(_), Framed::Length) => Some(request.bytes),
        (Harm::None | Harm::Reset(_) | Harm::Unended(_), _) => None,
    };
    let alone = request.framed == Framed::Nothing;
    if std::future::poll_fn(|cx| client.poll_ready(cx)).await.is_err() {
        return recorder.strange(format!("{id}: the connection has ended"));
    }
    let (answer, mut body) = client.send_request(head(&stream, length), alone).expect("the client is ready");
    let sending = async {
        match harm {
            _ if alone => {}
            Harm::None | Harm::Long | Harm::Short => send(&mut body, id, request, dice).await,
            Harm::Reset(reason) => {
                send_data(&mut body, id, request.bytes / 2, dice).await;
                body.send_reset(reason);
            }
            Harm::Unended(reason) => {
                send_data(&mut body, id, request.bytes, dice).await;
                body.send_reset(reason);
            }
        }
    };
    let hearing = async {
        let Ok(answer) = answer.await else { return None };
        let (head, body) = answer.into_parts();
        Some((head.status.as_u16(), read(body).await))
    };
    let strange = |what: String| recorder.strange(format!("{id}: {what}; {harm:?} {stream:?}"));
    let both = async { tokio::join!(sending, hearing) };
    let Ok(((), heard)) = timeout(PATIENCE, both).await else {
        return strange("a client waits for ever".to_owned());
    };
    match (heard, stream.answer) {
        (Some((200, Some(body))), Answer::Whole(answer)) => {
            if body != Sum::of(id, answer.bytes) {
                strange(format!("a client got another answer: {body:?}"));
            }
        }
        (Some((200, Some(body))), Answer::Half(..) | Answer::Nothing(_)) => {
            strange(format!("a client got an answer that was cut as a whole one: {body:?}"));
        }
        (heard, Answer::Whole(_)) if harm == Harm::None && endpoint == Version::Http1 => {
            strange(format!("a client got no answer: {heard:?}"));
        }
        (_, _) => {}
    }
}
