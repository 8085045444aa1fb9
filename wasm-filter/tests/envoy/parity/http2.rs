//! A client that sends one request by HTTP/2 (RFC 9113), frame by frame.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// One connection, whose first stream is the request's.
pub(super) struct Http2(TcpStream);

impl Http2 {
    /// Sends a request without a body, pseudo-fields first.
    pub(super) fn ask(mut stream: TcpStream, fields: &[(&str, &str)]) -> Http2 {
        let head = fields.iter().flat_map(|(name, value)| literal(name, value)).collect::<Vec<u8>>();
        let frames = [frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)];
        stream.write_all(&[PREFACE, &frames.concat()].concat()).expect("Envoy reads");
        Http2(stream)
    }

    /// Waits for the answer, and all of it: whether it is 200.
    pub(super) fn ends_with_200(mut self) -> bool {
        let mut is_200 = false;
        loop {
            let (kind, flags, payload) = self.next();
            if kind == HEADERS {
                is_200 = payload.first() == Some(&STATUS_200);
            }
            assert!(!matches!(kind, RST_STREAM | GOAWAY), "Envoy gives up: {payload:?}");
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return is_200;
            }
        }
    }

    /// Kind, flags and payload of the next frame, §4.1.
    fn next(&mut self) -> (u8, u8, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).expect("Envoy answers");
        let [a, b, c, kind, flags, _stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).expect("a frame has all of its payload");
        (kind, flags, payload)
    }
}

/// RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field that is not indexed, with a new name (RFC 7541 §6.2.2), both strings as they are.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| {
        u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("fields here are short")
    };
    [&[0x00, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; // §3.4
const DATA: u8 = 0x0; // §6.1
const HEADERS: u8 = 0x1; // §6.2
const RST_STREAM: u8 = 0x3; // §6.4
const SETTINGS: u8 = 0x4; // §6.5
const GOAWAY: u8 = 0x7; // §6.8
const END_STREAM: u8 = 0x1; // §6.1, §6.2
const END_HEADERS: u8 = 0x4; // §6.2
const STATUS_200: u8 = 0x88; // RFC 7541 appendix A: `:status 200` is entry 8 of the static table
