//! What svcmesh's programs and their neighbours must agree on: names and documents. Nothing here decides anything.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

pub mod names;
pub mod services;
