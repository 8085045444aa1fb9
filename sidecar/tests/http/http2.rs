//! HTTP/2 peers: the h2 crate where a peer behaves, bytes where none would.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, Semaphore};

use super::backend::Talk;
use super::wire::{Message, Wire};
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
    /// Ends its answer without a `grpc-status`.
    Bare,
    /// Begins to answer, and never ends.
    Stall,
    /// Answers `/large` without end, in frames of so many bytes, and all else with 300 kB.
    Pour { part: usize },
    /// Answers when the others have come.
    Meet(Arc<Barrier>),
    /// Reads, and answers, when it may.
    Wait(Arc<Semaphore>),
}

/// Speaks HTTP/2 on a connection. `does` is told which connection and which of its streams.
pub(crate) fn speaks_http2(talk: &mut Talk, streams_max: u32, does: impl Fn(usize, usize) -> Does) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let socket = TcpStream::from_std(talk.wire.socket()).expect("a socket that does not block");
        let mut builder = Builder::new();
        builder.max_concurrent_streams(streams_max).data_frame_budget(usize::MAX);
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
                Does::Bare => {
                    drop(
                        respond
                            .send_response(Response::new(()), true)
                            .expect("the sidecar waits for its answer"),
                    );
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
                Does::Pour { part } => drop(tokio::spawn(pour(request, respond, part))),
                Does::Wait(may) => {
                    let keep = talk.keeper();
                    drop(tokio::spawn(async move {
                        let _may = may.acquire().await;
                        answer(request, respond, keep, None).await;
                    }));
                }
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

/// Sends as much as the other side takes.
async fn pour(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, part: usize) -> Option<()> {
    let (mut left, part) =
        if request.uri().path() == "/large" { (usize::MAX, part) } else { (300_000, 16_000) };
    let mut sending = respond.send_response(Response::new(()), false).ok()?;
    while left > 0 {
        let part = part.min(left);
        sending.reserve_capacity(part);
        while sending.capacity() < part {
            std::future::poll_fn(|cx| sending.poll_capacity(cx)).await?.ok()?;
        }
        left -= part;
        sending.send_data(vec![b'x'; part].into(), left == 0).ok()?;
        tokio::task::yield_now().await;
    }
    Some(())
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
    let mut frames = Frames::begin(talk);
    while frames.request().is_some() {
        frames.go_away(LAST_POSSIBLE);
        frames.go_away(0);
    }
}

/// What a first GOAWAY says, while the last stream is not known (RFC 9113 §6.8).
pub(crate) const LAST_POSSIBLE: u32 = (1 << 31) - 1;

/// One end of an HTTP/2 connection, frame by frame (RFC 9113 §4.1).
pub(crate) struct Frames<'a> {
    wire: &'a mut Wire,
    settings_acknowledged: usize,
    /// Of the last frame that was read.
    payload: Vec<u8>,
    /// The same frame's.
    flags: u8,
}

/// What is sent on a stream.
#[derive(Clone, Copy)]
pub(crate) enum Burst<'a> {
    /// A request without a body.
    Head(&'a [(&'a str, &'a str)]),
    /// A part of a body.
    Data(&'a [u8]),
    /// Its end (RST_STREAM).
    Reset(Reason),
    /// So much more of a window (WINDOW_UPDATE).
    Update(u32),
}

impl<'a> Frames<'a> {
    /// A client's end.
    pub(crate) fn of_client(wire: &'a mut Wire) -> Frames<'a> {
        wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Frames { wire, settings_acknowledged: 0, payload: Vec::new(), flags: 0 };
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }
}

impl Frames<'_> {
    /// An endpoint's end.
    pub(crate) fn begin(talk: &mut Talk) -> Frames<'_> {
        let mut frames =
            Frames { wire: &mut talk.wire, settings_acknowledged: 0, payload: Vec::new(), flags: 0 };
        frames.send(SETTINGS, 0, 0, &[]);
        let _preface = frames.wire.bytes(24);
        frames
    }

    /// The stream of the next request. None comes any more after the answer to a ping, nor when the connection has ended.
    pub(crate) fn request(&mut self) -> Option<u32> {
        loop {
            match self.next()? {
                (HEADERS, _, stream) => return Some(stream),
                (PING, ACK, _) => return None,
                _ => {}
            }
        }
    }

    /// The stream of the next head or reset, and whether it is one.
    pub(crate) fn head_or_reset(&mut self) -> Option<(u32, bool)> {
        loop {
            if let (kind @ (HEADERS | RST_STREAM), _, stream) = self.next()? {
                return Some((stream, kind == RST_STREAM));
            }
        }
    }

    /// Answers a request: `:status 200`, which HPACK has in one byte (RFC 7541 appendix A), and no body.
    pub(crate) fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &[0x88]);
    }

    /// Sends a head of plain literals: of an answer, an interim one, or trailers.
    pub(crate) fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let ends = if ends { END_STREAM } else { 0 };
        let block = literals(fields);
        let mut parts = block.chunks(FRAME_BYTES_MAX);
        let (first, count) = (parts.next().unwrap_or_default(), parts.len());
        self.send(HEADERS, ends | if count == 0 { END_HEADERS } else { 0 }, stream, first);
        for (index, part) in parts.enumerate() {
            self.send(CONTINUATION, if index + 1 == count { END_HEADERS } else { 0 }, stream, part);
        }
    }

    /// Sends a part of a body.
    pub(crate) fn data(&mut self, stream: u32, data: &[u8], ends: bool) {
        self.send(DATA, if ends { END_STREAM } else { 0 }, stream, data);
    }

    /// Sends these on streams, all at once.
    pub(crate) fn burst(&mut self, parts: &[(u32, Burst<'_>)]) {
        let bytes = parts.iter().map(|(stream, part)| match part {
            Burst::Head(fields) => frame(HEADERS, END_STREAM | END_HEADERS, *stream, &literals(fields)),
            Burst::Data(data) => frame(DATA, 0, *stream, data),
            Burst::Reset(reason) => frame(RST_STREAM, 0, *stream, &u32::from(*reason).to_be_bytes()),
            Burst::Update(bytes) => frame(WINDOW_UPDATE, 0, *stream, &bytes.to_be_bytes()),
        });
        self.wire.send(bytes.collect::<Vec<_>>().concat());
    }

    /// Whether what was read last ends its stream.
    pub(crate) fn ends_at_once(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// Sends parts of a body, all at once.
    pub(crate) fn parts(&mut self, stream: u32, part: &[u8], count: usize) {
        let part = frame(DATA, 0, stream, part);
        self.wire.send(part.repeat(count));
    }

    /// Ends a stream (RST_STREAM).
    pub(crate) fn reset(&mut self, stream: u32, reason: Reason) {
        self.send(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes());
    }

    /// Waits until the other side resets a stream: why. It does not if it answers a ping sooner, or ends the connection.
    pub(crate) fn reset_of(&mut self, stream: u32) -> Option<Reason> {
        loop {
            match self.next()? {
                (RST_STREAM, _, of) if of == stream => {
                    let reason = self.payload.first_chunk().expect("RFC 9113 §6.4: four bytes");
                    return Some(u32::from_be_bytes(*reason).into());
                }
                (PING, ACK, _) => return None,
                _ => {}
            }
        }
    }

    /// Waits for a part of a request's body: its bytes, and whether it was the last.
    pub(crate) fn body(&mut self) -> Option<(Vec<u8>, bool)> {
        loop {
            if let (DATA, flags, _) = self.next()? {
                return Some((std::mem::take(&mut self.payload), flags & END_STREAM != 0));
            }
        }
    }

    /// Sends a request on stream 1 whose fields, data and trailers are these, all at once.
    pub(crate) fn ask(&mut self, head: &[(&str, &str)], data: &str, trailers: &[(&str, &str)]) {
        let ends = |last: bool| if last { END_STREAM } else { 0 };
        let head_flags = END_HEADERS | ends(data.is_empty() && trailers.is_empty());
        let mut frames = frame(HEADERS, head_flags, 1, &literals(head));
        if !data.is_empty() {
            frames.extend(frame(DATA, ends(trailers.is_empty()), 1, data.as_bytes()));
        }
        if !trailers.is_empty() {
            frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &literals(trailers)));
        }
        self.wire.send(frames);
    }

    /// Begins a request on stream 1, which does not end.
    pub(crate) fn open(&mut self, head: &[(&str, &str)], data: &str) {
        self.send(HEADERS, END_HEADERS, 1, &literals(head));
        if !data.is_empty() {
            self.data(1, data.as_bytes(), false);
        }
    }

    /// Acknowledges a ping that nobody has sent.
    pub(crate) fn acknowledge_ping(&mut self) {
        self.send(PING, ACK, 0, &[0; 8]);
    }

    /// Ends the connection.
    pub(crate) fn ends(&mut self) {
        self.wire.finish();
    }

    /// How a stream ends: without an error, with the code of RST_STREAM, or not at all.
    pub(crate) fn end_of_stream(&mut self, stream: u32) -> Result<(), Option<u32>> {
        loop {
            match self.next() {
                Some((HEADERS | DATA, flags, ended)) if ended == stream && flags & END_STREAM != 0 => {
                    return Ok(());
                }
                Some((RST_STREAM, _, ended)) if ended == stream => {
                    let code = self.payload.as_slice().try_into().expect("RFC 9113 §6.4: four bytes");
                    return Err(Some(u32::from_be_bytes(code)));
                }
                Some((GOAWAY, _, _)) | None => return Err(None),
                Some(_) => {}
            }
        }
    }

    /// Waits until so many streams have ended, and tells whether all did so without an error.
    pub(crate) fn are_answered(&mut self, mut streams: usize) -> bool {
        while streams > 0 {
            match self.next() {
                Some((HEADERS | DATA, flags, _)) if flags & END_STREAM != 0 => streams -= 1,
                Some((RST_STREAM | GOAWAY, ..)) | None => return false,
                Some(_) => {}
            }
        }
        true
    }

    /// Waits until the other side has reset so many streams: whether it has.
    pub(crate) fn are_reset(&mut self, mut streams: usize) -> bool {
        while streams > 0 {
            match self.next() {
                Some((RST_STREAM, ..)) => streams -= 1,
                Some((GOAWAY, ..)) | None => return false,
                Some(_) => {}
            }
        }
        true
    }

    /// Waits for what becomes of it: whether that is 200, or anything else.
    pub(crate) fn is_answered_with_200(&mut self) -> bool {
        loop {
            match self.next() {
                Some((HEADERS, _, 1)) => return self.payload.first() == Some(&0x88),
                Some((RST_STREAM, _, 1) | (GOAWAY, _, _)) | None => return false,
                Some(_) => {}
            }
        }
    }

    pub(crate) fn go_away(&mut self, last: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    }

    pub(crate) fn ping(&mut self) {
        self.send(PING, 0, 0, &[0; 8]);
    }

    /// Lets the other side have `max` streams at a time, and waits until it knows.
    pub(crate) fn limit_streams(&mut self, max: u32) {
        const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 0x03];
        self.send(SETTINGS, 0, 0, &[&MAX_CONCURRENT_STREAMS[..], &max.to_be_bytes()].concat());
        while self.settings_acknowledged < 2 {
            self.next().expect("both settings are acknowledged");
        }
    }

    fn next(&mut self) -> Option<(u8, u8, u32)> {
        let head = self.wire.bytes(9).ok()?;
        let payload = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        self.payload = self.wire.bytes(payload).ok()?;
        let (kind, flags) = (head[3], head[4]);
        self.flags = flags;
        match (kind, flags & ACK) {
            (SETTINGS, ACK) => self.settings_acknowledged += 1,
            (SETTINGS, _) => self.send(SETTINGS, ACK, 0, &[]),
            _ => {}
        }
        Some((kind, flags, u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.wire.send(frame(kind, flags, stream, payload));
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).expect("these frames are small").to_be_bytes();
    [&[0, high, low, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals that no table keeps, in plain bytes (RFC 7541 §6.2.2).
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let string = |text: &str| {
        let mut length = vec![];
        let mut left = text.len();
        match u8::try_from(left).ok().filter(|length| *length < 0x7f) {
            Some(short) => length.push(short),
            None => {
                length.push(0x7f); // RFC 7541 §5.1
                left -= 0x7f;
                while left >= 0x80 {
                    length.push(left as u8 | 0x80);
                    left >>= 7;
                }
                length.push(left as u8);
            }
        }
        [&length, text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect()
}

// RFC 9113 §6
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const FRAME_BYTES_MAX: usize = 16 * 1024;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const ACK: u8 = 0x1;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

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

/// A body as its reader has it: its bytes, and why it is not whole.
pub(crate) async fn heard(mut body: RecvStream) -> (String, Result<Option<HeaderMap>, Option<Reason>>) {
    let mut text = String::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                text += &String::from_utf8_lossy(&data);
                body.flow_control().release_capacity(data.len()).expect("it was received");
            }
            Err(error) => return (text, Err(error.reason())),
        }
    }
    (text, body.trailers().await.map_err(|error| error.reason()))
}

async fn read(mut body: RecvStream) -> (String, Option<HeaderMap>) {
    let mut text = String::new();
    while let Some(Ok(data)) = body.data().await {
        text += &String::from_utf8_lossy(&data);
        body.flow_control().release_capacity(data.len()).expect("it was received");
    }
    (text, body.trailers().await.ok().flatten())
}
