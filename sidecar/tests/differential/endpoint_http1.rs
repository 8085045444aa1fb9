//! An endpoint that speaks HTTP/1.1: it records whole requests, and answers what their paths say.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use tokio::task::spawn_local;

use super::plan::{Answer, Body, Cut, Dice, Framed, TRAILER, content, of_path};
use super::recorder::Recorder;
use super::wire::{End, Wire};

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
                drop(spawn_local(async move { serve(Wire::new(stream), &recorder).await }));
            }
        });
    });
    address
}

async fn serve(mut wire: Wire, recorder: &Recorder) {
    loop {
        let head = match wire.head().await {
            Ok(head) => head,
            Err(End::Strange(what)) => return recorder.strange(format!("an endpoint was sent {what}")),
            Err(End::Closed | End::Cut) => return,
        };
        let Some((id, answer)) = head.start.split(' ').nth(1).and_then(of_path) else {
            return recorder.strange(format!("an endpoint was sent {:?}", head.start));
        };
        match wire.request_body(&head).await {
            Ok(body) => recorder.sees(id, body),
            Err(End::Strange(what)) => return recorder.strange(format!("{id}: an endpoint was sent {what}")),
            Err(End::Closed | End::Cut) => return,
        }
        let dice = Dice::of([id, 1, 0, 0]);
        let (body, cut) = match answer {
            Answer::Nothing(cut) => return end(wire, cut).await,
            Answer::Whole(body) => (body, None),
            Answer::Half(body, cut) => (body, Some(cut)),
        };
        let mut bytes = said(id, body, &dice);
        if cut.is_some() {
            let head_bytes =
                bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends so") + 4;
            bytes.truncate(head_bytes + (bytes.len() - head_bytes) / 2);
        }
        wire.send(&bytes, &dice).await;
        match cut {
            Some(cut) => return end(wire, cut).await,
            None if body.framed == Framed::Close || head.closes() => return wire.finish().await,
            None => {}
        }
    }
}

async fn end(mut wire: Wire, cut: Cut) {
    match cut {
        Cut::Reset => wire.reset(),
        Cut::Closed | Cut::NoError | Cut::Cancel | Cut::Internal => wire.finish().await,
    }
}

/// A whole response.
fn said(id: u64, body: Body, dice: &Dice) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nx-id: {id}\r\n").into_bytes();
    match body.framed {
        Framed::Chunked | Framed::Trailers => {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            chunked(&mut bytes, id, body, dice);
        }
        Framed::Close => {
            bytes.extend_from_slice(b"Connection: close\r\n\r\n");
            bytes.extend(content(id, 0, body.bytes));
        }
        Framed::Length | Framed::Nothing => {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.bytes).as_bytes());
            bytes.extend(content(id, 0, body.bytes));
        }
    }
    bytes
}

/// Appends a body in chunks, large and small.
pub(crate) fn chunked(bytes: &mut Vec<u8>, id: u64, body: Body, dice: &Dice) {
    let mut sent = 0;
    while sent < body.bytes {
        let left = body.bytes - sent;
        let size = if dice.percent(40) { 1 + dice.below(left.min(16)) } else { 1 + dice.below(left) };
        bytes.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        bytes.extend(content(id, sent, size));
        bytes.extend_from_slice(b"\r\n");
        sent += size;
    }
    bytes.extend_from_slice(b"0\r\n");
    if body.framed == Framed::Trailers {
        bytes.extend_from_slice(format!("{}: {}\r\n", TRAILER.0, TRAILER.1).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
}
