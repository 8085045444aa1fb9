//! What svcmesh's programs and their neighbours must agree on: names and documents. Nothing here decides anything.
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

extern crate alloc;

pub mod duration;
pub mod json;
pub mod names;
pub mod plugin;
pub mod proxy_header;
pub mod services;
pub mod values;
