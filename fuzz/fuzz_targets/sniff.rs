//! `cargo fuzz run sniff`

#![no_main]

#[path = "../src/sniff.rs"]
mod sniff;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sniff::check(bytes));
