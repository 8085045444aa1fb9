//! Apache's common log format, which many tools read, followed by Service, endpoint, seconds, retries, the failure's code and the status
//! of a gRPC call:
//! ```text
//! 10.0.0.1 - - [23/Nov/2026:04:25:38 +0000] "GET /cart HTTP/1.1" 200 512 shop/web 10.1.2.3:8080 0.001234 0 - -
//! ```

use std::io::Write;

use svc_core::grpc::Status;

use super::civil::Civil;
use super::{LogRecord, LoggedHead};

/// Appends a record without a line break. Its time is when the request came, as with Apache, not when it ended.
pub(super) fn line(record: &LogRecord, out: &mut Vec<u8>) {
    let began = record.time.checked_sub(record.duration).unwrap_or(record.time);
    put(out, format_args!("{} - - [{}] \"", record.client.ip().to_canonical(), date(Civil::of(began))));
    match record.request.as_ref().and_then(|head| Some((head, head.version?))) {
        Some((head, version)) => request_line(head, version, out),
        None => out.push(b'-'), // a connection has none, and what was not understood is none
    }
    put(
        out,
        format_args!(
            "\" {} {} ",
            dash(record.status),
            dash(Some(record.bytes_out).filter(|&bytes| bytes > 0))
        ),
    );
    put(out, format_args!("{} {} ", dash(record.service.as_deref()), dash(record.endpoint)));
    let seconds = record.duration.as_secs_f64();
    let call = record.call.map(Status::as_str);
    put(out, format_args!("{seconds:.6} {} {} {}", record.retries, dash(record.code), dash(call)));
}

fn request_line(head: &LoggedHead, version: &str, out: &mut Vec<u8>) {
    escape(&head.method, out);
    out.push(b' ');
    if let Some(scheme) = &head.scheme {
        escape(scheme, out);
        out.extend_from_slice(b"://");
        escape(&head.host, out);
    }
    escape(&head.path, out);
    put(out, format_args!(" {version}"));
}

/// What clients chose, as Apache's `ap_escape_logitem` writes it.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            ..0x20 | 0x7f.. => {
                put(out, format_args!("\\x{byte:02x}"));
                continue;
            }
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

fn date(Civil { year, month, day, hour, minute, second, millisecond: _ }: Civil) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS[usize::try_from(month).expect("a month is at most 12") - 1];
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

fn dash(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every byte");
}
