//! `cargo fuzz run environment`

#![no_main]

#[path = "../src/environment.rs"]
mod environment;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| environment::check(bytes));
