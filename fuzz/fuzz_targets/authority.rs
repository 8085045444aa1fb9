//! `cargo fuzz run authority`

#![no_main]

#[path = "../src/authority.rs"]
mod authority;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| authority::check(bytes));
