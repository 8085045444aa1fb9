//! What to do, given facts and a time: the decisions that svcmesh's programs share.
//!
//! No I/O, no clock, no randomness: `no_std` makes each a compile error here. Time and chance are arguments, always last.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub use svc_proto::duration;

pub mod address;
pub mod draws;
pub mod hash;
pub mod time;

pub mod discovery;
pub mod dns;
pub mod protocol;
pub mod service;
pub mod sniff;

pub mod allocate;
pub mod authority;
pub mod describe;
pub mod endpoints;
pub mod inventory;
pub mod table;

pub mod capture;

pub mod ack_timeout;
pub mod affinity;
pub mod balance;
pub mod dispatch;
pub mod drain;
pub mod flows;
pub mod forwarding;
pub mod grpc;
pub mod grpc_timeout;
pub mod http_date;
pub mod inbound;
pub mod max_forwards;
pub mod outcome;
pub mod port;
pub mod proxy_protocol;
pub mod retry;
pub mod rewrite;
pub mod stats;

#[cfg(test)]
mod samples;
