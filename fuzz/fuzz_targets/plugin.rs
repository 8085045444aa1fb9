//! `cargo fuzz run plugin`

#![no_main]

#[path = "../src/plugin.rs"]
mod plugin;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| plugin::check(bytes));
