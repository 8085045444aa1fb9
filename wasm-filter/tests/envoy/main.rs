//! The built filter in a real Envoy, set up by the files of `deploy/envoy`. `cargo xtask test envoy` brings what this needs and runs it.
//!
//! Every address is of this machine's loopback interface and every port is chosen by the kernel: the tests need no root and run
//! side by side. Each has an Envoy of its own, with two workers.

mod backend;
mod bootstrap;
mod built;
mod client;
mod envoy;
mod head;
mod services;

mod affinity;
mod balance;
mod deploy;
mod external;
mod failing;
mod forwarding;
mod hand_over;
mod memory;
mod metadata;
mod mistakes;
mod parity;
mod statistics;
mod tcp;
mod trap;
mod unknown;
mod update;
