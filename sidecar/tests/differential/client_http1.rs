//! A client that speaks HTTP/1.1: whole requests one after the other, then perhaps one that has no end, or is odd.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::endpoint_http1::chunked;
use super::plan::{Answer, Dice, Framed, Stream, Sum, Version, content};
use super::recorder::{Message, Recorder, Sent, Wanted};
use super::wire::{End, Wire};

/// What becomes of a conversation's last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    None,
    /// The client says after it that nothing more follows.
    HalfClosed,
    /// The client is gone (RST) when it has sent it.
    Left,
    /// It ends within, by FIN or by RST.
    Closed,
    Reset,
    /// It may be read in two ways.
    Odd,
}

pub(crate) async fn converse(
    address: &str,
    endpoint: Version,
    dice: &Dice,
    next: &AtomicU64,
    recorder: &Recorder,
) {
    let mut wire = Wire::new(TcpStream::connect(address).await.expect("the sidecar listens"));
    let count = 1 + dice.below(4);
    for number in 1..=count {
        let stream = Stream::new(next.fetch_add(1, Relaxed), endpoint, dice);
        let harm = if number == count { harm(dice) } else { Harm::None };
        let bytes = match harm {
            Harm::Odd => odd(&stream, dice),
            Harm::None | Harm::HalfClosed | Harm::Left | Harm::Closed | Harm::Reset => said(&stream, dice),
        };
        recorder.sends(stream.id, sent(&stream, harm));
        let bytes = match harm {
            Harm::Closed | Harm::Reset => &bytes[..1 + dice.below(bytes.len() - 1)],
            Harm::None | Harm::HalfClosed | Harm::Left | Harm::Odd => &bytes[..],
        };
        wire.send(bytes, dice).await;
        match harm {
            Harm::Left | Harm::Reset => return wire.reset(),
            Harm::Closed | Harm::HalfClosed => wire.finish().await,
            Harm::None | Harm::Odd => {}
        }
        match harm {
            Harm::None | Harm::HalfClosed => {
                if !hears(&mut wire, &stream, endpoint, harm, recorder).await {
                    return;
                }
            }
            // Whatever it is told, it must not wait for ever.
            Harm::Left | Harm::Closed | Harm::Reset | Harm::Odd => {
                let _whatever = timeout(Duration::from_millis(300), wire.head()).await;
            }
        }
    }
}

fn harm(dice: &Dice) -> Harm {
    match dice.below(100) {
        ..30 => Harm::None,
        30..45 => Harm::HalfClosed,
        45..52 => Harm::Left,
        52..66 => Harm::Closed,
        66..80 => Harm::Reset,
        _ => Harm::Odd,
    }
}

fn sent(stream: &Stream, harm: Harm) -> Sent {
    let (message, records) = match harm {
        Harm::None | Harm::HalfClosed => (Message::Whole, Wanted::One),
        Harm::Left => (Message::Left, Wanted::AtMostOne),
        Harm::Closed | Harm::Reset => (Message::Cut, Wanted::AtMostOne),
        Harm::Odd => (Message::Odd, Wanted::AtMostOne),
    };
    let repeats = matches!(stream.answer, Answer::Nothing(_));
    Sent { message, body: Sum::of(stream.id, stream.request.bytes), records, repeats }
}

/// Reads the answer to a whole request; whether the connection can go on.
async fn hears(wire: &mut Wire, stream: &Stream, endpoint: Version, harm: Harm, recorder: &Recorder) -> bool {
    let heard = async {
        let head = wire.head().await?;
        let body = wire.response_body(&head).await?;
        Ok((head, body))
    };
    let strange = |what: String| recorder.strange(format!("{}: {what}; {harm:?} {stream:?}", stream.id));
    let Ok(heard) = timeout(PATIENCE, heard).await else {
        strange("a client waits for ever".to_owned());
        return false;
    };
    match (heard, stream.answer) {
        (Err(End::Strange(what)), _) => strange(format!("a client was sent {what}")),
        (Ok((head, body)), Answer::Whole(answer)) if head.status() == 200 => {
            if body != Sum::of(stream.id, answer.bytes) {
                strange(format!("a client got another answer: {body:?}"));
            }
            return !head.closes();
        }
        (Ok((head, body)), Answer::Half(..) | Answer::Nothing(_)) if head.status() == 200 => {
            strange(format!("a client got an answer that was cut as a whole one: {body:?}"));
        }
        // Streams share the connection to an endpoint of HTTP/2, and what one of them does may end it for others.
        (Ok((head, _)), Answer::Whole(_)) if endpoint == Version::Http1 => {
            strange(format!("a client got no answer but {}", head.status()));
        }
        (Ok((head, _)), _) => return !head.closes(),
        (Err(end @ (End::Closed | End::Cut)), Answer::Whole(_)) if endpoint == Version::Http1 => {
            strange(format!("a client got no answer: {end:?}"));
        }
        (Err(End::Closed | End::Cut), _) => {}
    }
    false
}

/// A whole request.
fn said(stream: &Stream, dice: &Dice) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\nHost: web\r\n", stream.method(), stream.path()).into_bytes();
    match stream.request.framed {
        Framed::Nothing | Framed::Close => bytes.extend_from_slice(b"\r\n"),
        Framed::Length => {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", stream.request.bytes).as_bytes());
            bytes.extend(content(stream.id, 0, stream.request.bytes));
        }
        Framed::Chunked | Framed::Trailers => {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            chunked(&mut bytes, stream.id, stream.request, dice);
        }
    }
    bytes
}

/// A request that peers read in two ways, and in one of them another one that nobody sent by itself.
fn odd(stream: &Stream, dice: &Dice) -> Vec<u8> {
    let smuggled =
        format!("GET /{}/whole-length-closed-1 HTTP/1.1\r\nHost: web\r\n\r\n", stream.id | SMUGGLED);
    let (head, body) = ODD[dice.below(ODD.len())];
    let length = body.replace("SMUGGLED", &smuggled).len();
    let (head, body) = (head.replace("LENGTH", &length.to_string()), body.replace("SMUGGLED", &smuggled));
    let body = body.replace("SIZE", &format!("{:x}", smuggled.len()));
    format!("POST {} HTTP/1.1\r\nHost: web\r\n{head}\r\n{body}", stream.path()).into_bytes()
}

/// Marks a request that stands within another one.
const SMUGGLED: u64 = 1 << 62;

/// Fields, and what follows the head. `LENGTH` is the length of all that follows.
const ODD: [(&str, &str); 30] = [
    ("Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "SIZE\r\nSMUGGLED\r\n0\r\n\r\n"),
    ("Content-Length: 5\r\nContent-Length: LENGTH\r\n", "AAAAASMUGGLED"),
    ("Content-Length: LENGTH\r\nContent-Length: 5\r\n", "AAAAASMUGGLED"),
    ("Content-Length: 5, LENGTH\r\n", "AAAAASMUGGLED"),
    ("Content-Length: +5\r\n", "AAAAASMUGGLED"),
    ("Content-Length: 0x5\r\n", "AAAAASMUGGLED"),
    ("Content-Length: 5 5\r\n", "AAAAASMUGGLED"),
    ("Content-Length: -5\r\n", "AAAAASMUGGLED"),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "SMUGGLED"),
    ("Transfer-Encoding : chunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding:\r\n chunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: \x0bchunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("X: y\nTransfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("X: y\rTransfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n", "0\r\n\r\nSMUGGLED"),
    ("X: \0\r\nContent-Length: 5\r\n", "AAAAASMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5;a=\0\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5\r\nAAAAA\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5\r\nAAAAAXX0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5\r\nAAAAA\r\n0\r\nA: b\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "0x5\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "+5\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "-5\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5;\nx\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nAAAAA\r\n0\r\n\r\nSMUGGLED"),
    ("Transfer-Encoding: chunked\r\n", "5\r\nAAAAA\r\n0\r\n\nSMUGGLED"),
];
