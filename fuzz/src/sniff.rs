//! What a fuzzer checks of sniffing: more bytes never change a verdict, and enough of them always give one.

use svc_core::sniff::{SNIFF_BYTES_MAX, Sniffed, sniff};

pub(crate) fn check(bytes: &[u8]) {
    let whole = sniff(bytes);
    assert!(whole != Sniffed::More || bytes.len() < SNIFF_BYTES_MAX, "undecided for ever");
    for end in 0..bytes.len() {
        let verdict = sniff(&bytes[..end]);
        assert!(
            verdict == Sniffed::More || verdict == whole,
            "{verdict:?} after {end} bytes became {whole:?}"
        );
    }
}
