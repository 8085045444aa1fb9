//! The PROXY protocol, in and out, between real peers.

mod inward;
mod outward;
mod table;
