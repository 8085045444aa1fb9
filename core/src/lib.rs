//! What to do, given facts and a time: the decisions that svcmesh's programs share.
//!
//! No I/O, no clock, no randomness: `no_std` makes each a compile error here. Time and chance are arguments, always last.
//!
//! The modules stand in their order below, the ground floor first: each uses only those of the groups before its own.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub use svc_proto::duration;

pub mod ack_timeout;
pub mod address;
pub mod authority;
pub mod draws;
pub mod grpc_timeout;
pub mod hash;
pub mod http_date;
pub mod max_forwards;
pub mod outcome;
pub mod sniff;
pub mod time;

pub mod allocate;
pub mod dns;
pub mod forwarding;
pub mod grpc;
pub mod proxy_protocol;
pub mod retry;

pub mod capture;
pub mod service;

pub mod drain;
pub mod endpoints;
pub mod protocol;

pub mod rewrite;
pub mod stats;

pub mod balance;

pub mod affinity;
pub mod flows;
pub mod table;

pub mod inbound;
pub mod inventory;
pub mod port;

pub mod describe;
pub mod discovery;
pub mod dispatch;
pub mod overview;

pub mod findings;

#[cfg(test)]
mod samples;
