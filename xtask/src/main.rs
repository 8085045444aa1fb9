//! The project's own commands: `cargo xtask demo | test | bench | tools`.

fn main() {}
