#![expect(clippy::large_futures, reason = "a test has one of them")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;

use h2::client;
use h2::server::{self, SendResponse};
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::memory::CONNECTION_HELD_BYTES_MAX;

/// A body in pieces, which counts what was taken of it.
#[derive(Default)]
struct Pieces {
    pieces: VecDeque<Bytes>,
    /// Comes again and again when the others are gone.
    endless: Option<Bytes>,
    breaks_off: Option<Reason>,
    trailers: Option<HeaderMap>,
    taken_bytes: Rc<Cell<usize>>,
}

#[derive(Debug)]
struct Broken(Reason);

impl ResetReason for Broken {
    fn reset_reason(&self) -> Reason {
        self.0
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = self.pieces.pop_front().or(self.endless.clone());
        if let Some(piece) = piece {
            self.taken_bytes.set(self.taken_bytes.get() + piece.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(reason) = self.breaks_off.take() {
            return Poll::Ready(Some(Err(Broken(reason))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

fn pieces<const N: usize>(pieces: [&'static str; N]) -> Pieces {
    Pieces { pieces: pieces.map(|piece| Bytes::from_static(piece.as_bytes())).into(), ..Pieces::default() }
}

/// What a client hears of `body`: the sizes of its frames, the text, and how it ended.
async fn hear(body: Pieces) -> (Vec<usize>, String, Result<Option<HeaderMap>, Option<Reason>>) {
    let (near, far) = duplex(64 * 1024);
    let serving = async {
        let mut connection = server::Builder::new().handshake::<_, QueuedPiece>(near).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let stream = respond.send_response(Response::new(()), false).unwrap();
        spawn_local(BodySender::new(body, stream, &Rc::default(), Duration::ZERO));
        while connection.accept().await.is_some() {}
    };
    let asking = async {
        let (mut sender, connection) = client::handshake(far).await.unwrap();
        spawn_local(connection);
        let (response, _) = sender.send_request(Request::new(()), true).unwrap();
        let mut stream = response.await.unwrap().into_body();
        let (mut sizes, mut text) = (Vec::new(), String::new());
        while let Some(data) = stream.data().await {
            match data {
                Ok(data) => {
                    sizes.push(data.len());
                    text.push_str(std::str::from_utf8(&data).unwrap());
                    stream.flow_control().release_capacity(data.len()).unwrap();
                }
                Err(error) => return (sizes, text, Err(error.reason())),
            }
        }
        (sizes, text, stream.trailers().await.map_err(|error| error.reason()))
    };
    LocalSet::new()
        .run_until(async {
            tokio::select! {
                heard = asking => heard,
                () = serving => panic!("the client hears of it first"),
            }
        })
        .await
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_there_at_once_goes_in_two_frames_and_not_in_one_for_each_piece() {
    let (sizes, text, ended) = hear(pieces(["a", "b", "c", "d", "e"])).await;
    assert_eq!((&*text, ended), ("abcde", Ok(None)));
    assert!(sizes.iter().filter(|&&size| size > 0).count() <= 2, "{sizes:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn trailers_follow_what_was_gathered() {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let body = Pieces { trailers: Some(trailers.clone()), ..pieces(["a", "b", "c"]) };
    let (_, text, ended) = hear(body).await;
    assert_eq!((&*text, ended), ("abc", Ok(Some(trailers))));
}

#[tokio::test(flavor = "current_thread")]
async fn a_body_that_breaks_off_never_ends_its_stream_but_tells_why() {
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::NO_ERROR] {
        let (_, _, ended) = hear(Pieces { breaks_off: Some(reason), ..pieces(["a"]) }).await;
        assert_eq!(ended, Err(Some(reason)));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_empty_body_ends() {
    assert_eq!(hear(Pieces::default()).await, (vec![0], String::new(), Ok(None)));
}

/// A socket that nobody reads.
struct Unread(DuplexStream);

impl AsyncRead for Unread {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Unread {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Opens as many streams as it may, with windows as large as there are, and reads nothing.
async fn open_and_stall(io: DuplexStream) {
    let mut builder = client::Builder::new();
    builder.initial_window_size((1 << 31) - 1).initial_connection_window_size((1 << 31) - 1);
    builder.initial_max_send_streams(STREAMS);
    let (mut sender, connection) = builder.handshake::<_, Bytes>(Unread(io)).await.unwrap();
    let _responses: Vec<_> =
        (0..STREAMS).map(|_| sender.send_request(Request::new(()), true).unwrap()).collect();
    connection.await.unwrap();
}

const STREAMS: usize = 128;

const PIPE_BYTES: usize = 64 * 1024;

/// What is held, and was taken, when a client does not read answers that come in pieces of `piece_bytes`.
async fn held_by_a_stalled_client(piece_bytes: usize) -> (usize, usize) {
    let (near, far) = duplex(PIPE_BYTES);
    let (backlog, taken_bytes) = (Rc::<Backlog>::default(), Rc::<Cell<usize>>::default());
    let (accepted, sent) = (Cell::new(0), Rc::<Cell<usize>>::default());
    let holder = Holder::default();
    let answer = |mut respond: SendResponse<QueuedPiece>| {
        let stream = respond.send_response(Response::new(()), false).unwrap();
        let endless = Some(Bytes::from(vec![b'a'; piece_bytes]));
        let body = Pieces { endless, taken_bytes: taken_bytes.clone(), ..Pieces::default() };
        let sending = BodySender::new(body, stream, &backlog, Duration::ZERO).held_for(Some(&holder));
        let sent = sent.clone();
        spawn_local(async move {
            let _ = sending.await;
            sent.set(sent.get() + 1);
        });
        accepted.set(accepted.get() + 1);
    };
    let serving = async {
        let mut connection = server::Builder::new().handshake::<_, QueuedPiece>(near).await.unwrap();
        while let Some(Ok((_, respond))) = connection.accept().await {
            answer(respond);
        }
    };
    LocalSet::new()
        .run_until(async {
            tokio::select! {
                () = open_and_stall(far) => {}
                () = serving => {}
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
            assert_eq!((accepted.get(), sent.get()), (STREAMS, 0));
            assert_eq!(holder.held_bytes(), backlog.held_bytes(), "of each stream it is held for its sender");
            (backlog.held_bytes(), taken_bytes.get())
        })
        .await
}

#[tokio::test(flavor = "current_thread")]
async fn a_client_that_reads_nothing_makes_us_hold_little_whatever_the_size_of_the_pieces() {
    for piece_bytes in [1, 10, 100, 1_000, 16 * 1024, 64 * 1024] {
        let (held_bytes, taken_bytes) = held_by_a_stalled_client(piece_bytes).await;
        let one_more = STREAM_HELD_BYTES_MAX.max(piece_bytes) + 1024;
        assert!(
            held_bytes <= CONNECTION_HELD_BYTES_MAX + one_more,
            "{held_bytes} in pieces of {piece_bytes}"
        );
        // What the pipe took, what is queued, and what each stream has gathered.
        let taken_max = PIPE_BYTES + CONNECTION_HELD_BYTES_MAX + one_more + STREAMS * GATHERED_BYTES_MAX;
        assert!(taken_bytes <= taken_max, "{taken_bytes} in pieces of {piece_bytes}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_peer_that_opens_no_window_is_given_up_in_the_end() {
    let (near, far) = duplex(64 * 1024);
    let heard = tokio::sync::Notify::new();
    let serving = async {
        let mut connection = server::Builder::new().handshake::<_, QueuedPiece>(near).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let stream = respond.send_response(Response::new(()), false).unwrap();
        tokio::select! {
            () = heard.notified() => {} // or a busy machine would have it given up before it has a head
            _ = connection.accept() => panic!("the client is there"),
        }
        let body = Pieces { endless: Some(Bytes::from_static(b"a")), ..Pieces::default() };
        let mut sending = BodySender::new(body, stream, &Rc::default(), PATIENCE);
        tokio::select! {
            sent = &mut sending => assert!(matches!(sent, Err(BodySendError::Stalled)), "{sent:?}"),
            _ = async { while connection.accept().await.is_some() {} } => panic!("the client is there"),
        }
        while connection.accept().await.is_some() {}
    };
    let asking = async {
        let mut builder = client::Builder::new();
        let (mut sender, connection) =
            builder.initial_window_size(0).handshake::<_, Bytes>(far).await.unwrap();
        spawn_local(connection);
        let (response, _) = sender.send_request(Request::new(()), true).unwrap();
        let mut stream = response.await.unwrap().into_body();
        heard.notify_one();
        stream.data().await.unwrap().unwrap_err().reason()
    };
    let ticking = async {
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            clock::tick();
        }
    };
    clock::tick();
    let begun = clock::now();
    let reason = LocalSet::new()
        .run_until(async {
            tokio::select! {
                reason = asking => reason,
                () = serving => panic!("the client hears of it first"),
                () = ticking => panic!("it was given up long ago"),
            }
        })
        .await;
    assert_eq!(reason, Some(Reason::CANCEL));
    assert!(clock::now().since(begun) >= PATIENCE / 2, "ticks are coarse");
}

const PATIENCE: Duration = Duration::from_millis(200);
