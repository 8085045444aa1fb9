//! The built filter in a host of its own, which has the clock and chance in its hand. `cargo xtask test envoy` builds the filter and runs this.

mod fields;
mod guest;
mod host;
mod imports;
mod proxy;
mod wasi;

mod absurd;
mod hand_over;
mod memory;
mod parity;
mod proxy_header;
mod update;
