//! How large a message head may be, in every version and both ways.

use hyper::header::HeaderMap;

/// The most fields in a head, of requests and of answers, in every version. Twice and a half what Envoy has by default: 256 × 32 bytes are
/// 8 KiB, and as long as they are read.
pub(crate) const HEADERS_MAX: usize = 256;

/// The most bytes in a head. 10_000 connections × 64 KiB = 640 MiB if every client filled its own, which the header deadline
/// gives them 10 s to do.
pub(crate) const HEADER_BYTES_MAX: u32 = 64 * 1024;

/// Whether these fields of an HTTP/2 message, beside which its head has `other_bytes`, are too many or too large.
pub(crate) fn exceeded_by(fields: &HeaderMap, other_bytes: usize) -> bool {
    let sizes = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    fields.len() > HEADERS_MAX || other_bytes + sizes.sum::<usize>() > HEADER_BYTES_MAX as usize
}

/// What a field counts beside its name and its value (RFC 9113 §6.5.2).
const FIELD_BYTES: usize = 32;
