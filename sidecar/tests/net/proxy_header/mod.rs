//! The PROXY protocol, in and out, between real peers.

mod table;
