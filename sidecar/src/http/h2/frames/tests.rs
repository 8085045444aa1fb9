use super::*;

/// A frame on a stream (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn frames_are_found_however_their_bytes_come() {
    let bytes = [
        b"preface".to_vec(),
        frame(HEADERS, 0, 1, b"head"),
        frame(DATA, 0, 1, &[0; 300]),
        frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]),
        frame(DATA, 0, 5, b""),
        frame(GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 11, b'w', b'h', b'y']),
        frame(RST_STREAM, 0, 7, b"odd"),
        frame(PING, 0, 0, &[0; 8]),
    ]
    .concat();
    let expected = vec![
        (HEADERS, 1, 0),
        (DATA, 1, 0),
        (RST_STREAM, 3, 8),
        (DATA, 5, 0),
        (GOAWAY, 0, 11),
        (RST_STREAM, 7, 0),
        (PING, 0, 0),
    ];
    for size in 1..=bytes.len() {
        let (mut frames, mut found) = (Frames::behind(7), Vec::new());
        for part in bytes.chunks(size) {
            frames.feed(part, |frame, _| found.push((frame.kind, frame.stream, u32::from(frame.code))));
        }
        assert_eq!(found, expected, "in parts of {size}");
    }
}

/// Bytes that come in parts, and then end.
struct Parts<'a>(std::slice::Chunks<'a, u8>);

impl AsyncRead for Parts<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(self.0.next().unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

/// What h2 reads of `bytes` that come in parts of `size`.
fn read(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut reader = FrameReader::behind(0);
    let mut parts = Parts(bytes.chunks(size));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut all = Vec::new();
    loop {
        let mut room = [0; 256];
        let mut buf = ReadBuf::new(&mut room);
        let polled = reader.poll_read(&mut parts, &mut cx, &mut buf, |_| Passes::Hidden);
        assert!(matches!(polled, Poll::Ready(Ok(()))));
        if buf.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(buf.filled());
    }
}

#[test]
fn empty_parts_of_bodies_are_hidden_however_their_bytes_come_and_nothing_else_is() {
    let others = [
        frame(HEADERS, 0, 1, b"head"),
        frame(HEADERS, 0, 3, b""),
        frame(DATA, 0, 1, b"part"),
        frame(DATA, END_STREAM, 1, b""),
        frame(DATA, PADDED, 3, b"\x00"),
        frame(DATA, 0, 0, b""),
        frame(PING, 0, 0, &[0; 8]),
    ];
    let with = |between: &[u8]| {
        let frames: Vec<_> = others.iter().flat_map(|frame| [between, frame, between]).collect();
        frames.concat()
    };
    let (sent, expected) = (with(&frame(DATA, 0, 5, b"")), with(&frame(HIDDEN, 0, 5, b"")));
    for size in 1..=sent.len() {
        assert_eq!(read(&sent, size), expected, "in parts of {size}");
    }
}

#[test]
fn bytes_that_are_held_come_before_the_end() {
    let bytes = frame(DATA, 0, 1, b"");
    for count in 1..bytes.len() {
        assert_eq!(read(&bytes[..count], count), bytes[..count]);
    }
}

const PING: u8 = 0x6; // RFC 9113 §6.7
