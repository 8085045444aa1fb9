//! `cargo fuzz run manifests`

#![no_main]

#[path = "../src/manifests.rs"]
mod manifests;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| manifests::check(bytes));
