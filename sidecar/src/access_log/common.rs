//! Apache's common log format, which many tools read, followed by Service, endpoint, seconds, retries and the
//! failure's code:
//! ```text
//! 10.0.0.1 - - [23/Nov/2026:04:25:38 +0000] "GET /cart HTTP/1.1" 200 512 shop/web 10.1.2.3:8080 0.001234 0 -
//! ```

use std::io::Write;

use super::Record;
use super::civil::Civil;

/// Appends a record without a line break. What clients chose is escaped as nginx does it: `\xNN`.
pub(super) fn line(record: &Record, out: &mut Vec<u8>) {
    put(out, format_args!("{} - - [{}] \"", record.client.ip().to_canonical(), date(Civil::of(record.time))));
    request(record, out);
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
    put(out, format_args!("{seconds:.6} {} {}", record.retries, dash(record.code)));
}

/// The request line; a connection has none.
fn request(record: &Record, out: &mut Vec<u8>) {
    let (Some(method), Some(path)) = (&record.method, &record.path) else { return out.push(b'-') };
    escape(method, out);
    out.push(b' ');
    escape(path, out);
    put(out, format_args!(" {}", record.protocol));
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => put(out, format_args!("\\x{byte:02X}")),
            _ => out.push(byte),
        }
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
