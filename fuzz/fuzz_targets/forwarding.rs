//! `cargo fuzz run forwarding`

#![no_main]

#[path = "../src/forwarding.rs"]
mod forwarding;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| forwarding::check(bytes));
