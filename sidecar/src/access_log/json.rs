//! One JSON object a line. Names and their order are a contract; what does not apply is left out.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde::Serialize;
use serde_json::ser::Formatter;

use super::civil::Civil;
use super::{LogRecord, RecordKind};

/// Appends a record without a line break. What clients chose is escaped as JSON does it, down to ASCII.
pub(super) fn line(record: &LogRecord, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Ascii);
    JsonLine::of(record)
        .serialize(&mut serializer)
        .expect("a line is strings and numbers, and a Vec takes every byte");
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    kind: &'static str,
    #[serde(rename = "client.address")]
    client: SocketAddr,
    #[serde(rename = "peer.address", skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(rename = "service.name", skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(rename = "endpoint.address", skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
    protocol: &'static str,
    #[serde(rename = "request.method", skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(rename = "request.path", skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(rename = "request.host", skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(rename = "response.status", skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(rename = "response.grpc_status", skip_serializing_if = "Option::is_none")]
    call: Option<u8>,
    #[serde(rename = "failure.code", skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(rename = "bytes.in")]
    bytes_in: u64,
    #[serde(rename = "bytes.out")]
    bytes_out: u64,
    #[serde(rename = "duration.us")]
    duration_us: u128,
    retries: u32,
}

impl JsonLine<'_> {
    fn of(record: &LogRecord) -> JsonLine<'_> {
        let request = record.request.as_ref();
        JsonLine {
            time: rfc3339(Civil::of(record.time)),
            kind: match record.kind {
                RecordKind::Connection => "connection",
                RecordKind::Request => "request",
            },
            client: record.client,
            peer: record.peer,
            service: record.service.as_deref(),
            endpoint: record.endpoint,
            protocol: record.protocol,
            method: request.map(|head| head.method.as_str()),
            path: request.map(|head| head.path.as_str()),
            host: request.map(|head| head.host.as_str()),
            status: record.status,
            call: record.call.map(|call| call as u8),
            code: record.code,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration_us: record.duration.as_micros(),
            retries: record.retries,
        }
    }
}

fn rfc3339(Civil { year, month, day, hour, minute, second, millisecond }: Civil) -> String {
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// JSON must escape only what is below a space. But a log is also read on terminals, and U+009B begins a
/// command to many.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        fragment.chars().try_for_each(|character| match character {
            ' '..='~' => write!(out, "{character}"),
            _ => character.encode_utf16(&mut units).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}")),
        })
    }
}
