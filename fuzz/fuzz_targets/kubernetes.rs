//! `cargo fuzz run kubernetes`

#![no_main]

#[path = "../src/kubernetes.rs"]
mod kubernetes;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kubernetes::check(bytes));
