use std::future::poll_fn;
use std::rc::Rc;

use h2::{Reason, SendStream, client};
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::http::h2::intake::Intake;

/// What was read of a body: its bytes, its trailers, and how it ended.
type Read = (&'static str, usize, Result<(), Option<Reason>>);

/// What a client reads where a server says these frames on its stream, and no more.
async fn read(frames: &[&[u8]]) -> Read {
    let (body, _upload, _far) = answered(frames).await;
    drain(body).await
}

/// The body of an answer, the other half of its stream, and the server.
async fn answered(frames: &[&[u8]]) -> (RecvBody, SendStream<Bytes>, DuplexStream) {
    let (near, mut far) = duplex(64 * 1024);
    let mut builder = client::Builder::new();
    let handshake = builder.data_frame_budget(usize::MAX).handshake::<_, Bytes>(near);
    let (mut sender, connection) = handshake.await.unwrap();
    drop(tokio::spawn(connection));
    let (response, upload) = sender.send_request(Request::new(()), false).unwrap();
    let begun = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len(), SETTINGS_BYTES, frame(0x1, 0, b"").len()];
    far.read_exact(&mut vec![0; begun.iter().sum()]).await.unwrap(); // the stream is open
    far.write_all(&[&frame(0x4, 0, b"")[..], &frames.concat()].concat()).await.unwrap();
    let (head, stream) = response.await.unwrap().into_parts();
    (RecvBody::new(stream, &head.headers), upload, far)
}

/// SETTINGS that change nothing: a frame's head alone (RFC 9113 §4.1, §6.5).
const SETTINGS_BYTES: usize = 9;

async fn drain(mut body: RecvBody) -> Read {
    let (mut bytes, mut trailers) = (String::new(), 0);
    let ended = loop {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => break Ok(()),
            Some(Err(error)) => break Err(error.reason()),
            Some(Ok(frame)) if frame.is_trailers() => trailers += 1,
            Some(Ok(frame)) => bytes.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap()),
        }
    };
    (bytes.leak(), trailers, ended)
}

/// A frame on the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let stream = if kind == 0x4 { 0 } else { 1 };
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// `:status: 200`, and a `content-length` where there is one (RFC 7541 §6.1, §6.2.2).
fn head(length: Option<u8>) -> Vec<u8> {
    let mut fields = vec![0x88];
    fields.extend(length.into_iter().flat_map(|digit| [0x0f, 0x0d, 1, b'0' + digit]));
    frame(0x1, 0x4, &fields)
}

fn data(text: &str) -> Vec<u8> {
    frame(0x0, 0, text.as_bytes())
}

fn end() -> Vec<u8> {
    frame(0x0, 0x1, b"")
}

/// A header `a: b` that ends the stream.
fn trailers() -> Vec<u8> {
    frame(0x1, 0x5, &[0x00, 1, b'a', 1, b'b'])
}

fn reset(reason: Reason) -> Vec<u8> {
    frame(0x3, 0, &u32::from(reason).to_be_bytes())
}

#[tokio::test(flavor = "current_thread")]
async fn only_its_end_of_stream_ends_a_body() {
    for length in [None, Some(4)] {
        let whole = [&head(length)[..], &data("ab"), &data("cd"), &end()];
        assert_eq!(read(&whole).await, ("abcd", 0, Ok(())));
        assert_eq!(read(&[&head(length), &data("abcd"), &trailers()]).await, ("abcd", 1, Ok(())));
        for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
            let cut = [&head(length)[..], &data("ab"), &data("cd"), &reset(reason)];
            assert_eq!(read(&cut).await, ("abcd", 0, Err(Some(reason))), "{length:?}");
            assert_eq!(read(&[&head(length), &reset(reason)]).await, ("", 0, Err(Some(reason))));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_body_that_is_shorter_or_longer_than_its_length_is_cut() {
    let broken = Err(Some(Reason::PROTOCOL_ERROR));
    assert_eq!(read(&[&head(Some(4)), &data("ab"), &end()]).await, ("ab", 0, broken));
    assert_eq!(read(&[&head(Some(4)), &data("ab"), &trailers()]).await, ("ab", 0, broken));
    assert_eq!(read(&[&head(Some(1)), &data("ab"), &end()]).await, ("", 0, broken));
}

#[tokio::test(flavor = "current_thread")]
async fn a_whole_body_stays_whole_whatever_is_reset_afterwards() {
    for end in [end(), trailers()] {
        for reason in [Reason::NO_ERROR, Reason::CANCEL] {
            let (bytes, _, ended) = read(&[&head(None), &data("ab"), &end, &reset(reason)]).await;
            assert_eq!((bytes, ended), ("ab", Ok(())));
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_that_ends_cuts_the_body() {
    let (body, _upload, far) = answered(&[&head(None), &data("ab")]).await;
    drop(far);
    assert_eq!(drain(body).await, ("ab", 0, Err(None)));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_read_makes_room_for_as_much_again() {
    const WINDOW: u32 = 1000;
    let (near, far) = duplex(64 * 1024);
    let mut builder = client::Builder::new();
    let (served, asked) = tokio::join!(
        h2::server::handshake(far),
        builder.initial_window_size(WINDOW).handshake::<_, Bytes>(near)
    );
    let (mut served, (mut sender, connection)) = (served.unwrap(), asked.unwrap());
    drop(tokio::spawn(connection));
    let (response, _upload) = sender.send_request(Request::new(()), true).unwrap();
    let (_, mut respond) = served.accept().await.unwrap().unwrap();
    drop(tokio::spawn(async move { while served.accept().await.is_some() {} }));
    let mut sending = respond.send_response(hyper::Response::new(()), false).unwrap();
    sending.send_data(Bytes::from(vec![b'x'; 10 * WINDOW as usize]), true).unwrap();
    let (head, stream) = response.await.unwrap().into_parts();
    let (bytes, _, ended) = drain(RecvBody::new(stream, &head.headers)).await;
    assert_eq!((bytes.len(), ended), (10 * WINDOW as usize, Ok(())));
}

#[tokio::test(flavor = "current_thread")]
async fn a_body_of_known_length_says_what_is_to_come() {
    let (mut body, _upload, mut far) = answered(&[&head(Some(4)), &data("ab")]).await;
    assert_eq!(body.size_hint().exact(), Some(4));
    let _ = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(2), false));
    far.write_all(&frame(0x0, 0x1, b"cd")).await.unwrap();
    let _ = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
}

#[tokio::test(flavor = "current_thread")]
async fn what_was_gathered_is_read_as_it_came() {
    for size in [1, 10, 100, 1_000, 5_000] {
        let text: String = ('a'..='z').cycle().take(10_000).collect();
        let frames: Vec<Vec<u8>> = text.as_bytes().chunks(size).map(|part| long_frame(0x0, part)).collect();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let (head, trailers) = (head(None), trailers());
        let all = [&[&head[..]], &frames[..], &[&trailers[..]]].concat();
        let (mut body, _upload, _far) = answered(&all).await;
        body.gather();
        body.gather();
        assert!(!body.is_end_stream());
        assert_eq!(drain(body).await, (&*text.leak(), 1, Ok(())), "{size}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_reader_that_waits_is_woken_although_another_gathers() {
    let (body, _upload, mut far) = answered(&[&head(None)]).await;
    let body = std::rc::Rc::new(std::cell::RefCell::new(body));
    let reading = poll_fn(|cx| Pin::new(&mut *body.borrow_mut()).poll_frame(cx));
    let others = async {
        body.borrow_mut().gather();
        far.write_all(&data("ab")).await.unwrap();
        std::future::pending::<()>().await
    };
    let read = tokio::select! { biased; read = reading => read, () = others => None };
    assert_eq!(&read.unwrap().unwrap().into_data().unwrap()[..], b"ab");
}

#[tokio::test(flavor = "current_thread")]
async fn a_cut_is_told_behind_what_was_gathered() {
    let (mut body, _upload, _far) =
        answered(&[&head(None), &data("ab"), &data("c"), &reset(Reason::NO_ERROR)]).await;
    body.gather();
    assert_eq!(drain(body).await, ("abc", 0, Err(Some(Reason::NO_ERROR))));
}

fn long_frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, length[0], length[1], kind, 0, 0, 0, 0, 1], payload].concat()
}

/// Waits until as much has come.
async fn has_come(body: &mut RecvBody, bytes: usize) {
    let come = async {
        while body.stream.flow_control().used_capacity() < bytes {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), come).await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn what_waits_for_its_reader_is_held_for_a_client_until_it_is_read() {
    const BYTES: usize = 30_000;
    for size in [1, 10, 100, 1_000, 10_000] {
        let frame = long_frame(0x0, &vec![b'x'; size]);
        let (mut body, _upload, _far) =
            answered(&[&head(None), &frame.repeat(BYTES / size), &trailers()]).await;
        let holder = Holder::default();
        body.count_for(&holder);
        has_come(&mut body, BYTES).await;
        body.count();
        assert_eq!(holder.held_bytes(), BYTES);
        body.gather();
        body.count();
        let gathered = holder.held_bytes();
        assert!((BYTES..3 * READ_BUFFER_BYTES + BYTES).contains(&gathered), "{gathered} in frames of {size}");
        let _first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let _second = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(holder.held_bytes() < gathered, "as it is read, it is held no more");
        drop(body);
        assert_eq!(holder.held_bytes(), 0);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn small_frames_are_held_without_what_was_around_them() {
    const FRAMES: usize = 1000;
    let (mut body, _upload, _far) =
        answered(&[&head(None), &long_frame(0x0, b"x").repeat(FRAMES), &trailers()]).await;
    let holder = Holder::default();
    let intake = Intake::of(&holder);
    has_come(&mut body, FRAMES).await;
    let body = intake.enter(body);
    intake.hears(10 * FRAMES, FRAMES);
    assert!((FRAMES..3 * FRAMES).contains(&holder.held_bytes()), "{}", holder.held_bytes());
    let body = Rc::into_inner(body).unwrap().into_inner();
    let (text, trailers, ended) = drain(body).await;
    assert_eq!((text.len(), trailers, ended), (FRAMES, 1, Ok(())));
    assert_eq!(holder.held_bytes(), 0);
}
