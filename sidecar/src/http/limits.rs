//! How large a message head may be, in every version and both ways.

/// The most fields in a head, of requests and of answers, in every version. Twice and a half what Envoy has by default: 256 × 32 bytes are
/// 8 KiB, and as long as they are read.
pub(crate) const HEADERS_MAX: usize = 256;

/// The most bytes in a head. 10_000 connections × 64 KiB = 640 MiB if every client filled its own, which the header deadline
/// gives them 10 s to do.
pub(crate) const HEADER_BYTES_MAX: u32 = 64 * 1024;
