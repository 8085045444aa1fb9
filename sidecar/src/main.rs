//! The sidecar's command line.

fn main() {}
