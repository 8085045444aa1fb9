//! Real peers as values: each starts when it is made and is gone when it is dropped, whatever the test did.
//!
//! A test runs in network namespaces of its own ([`isolated`]), so every address and port in it is free to choose, and
//! nothing it does is seen outside. Nothing here sleeps for a fixed time: [`until`] polls with a deadline.
#![allow(dead_code, unused_imports, reason = "each test target uses the part of these peers that it needs")]

mod capture;
mod certificates;
mod clients;
mod control_plane;
mod conversation;
mod destination;
mod dns;
mod haproxy;
mod load;
mod namespace;
mod nginx;
mod postgres;
mod python;
mod redis;
mod sidecar;
mod steady;

use testing::{manifests, network, process, recorder, time};

pub(crate) use capture::{Ended, SIDECAR_USER, capture_input, capture_output, init, init_as};
pub(crate) use certificates::{Authority, Mount, Pair};
pub(crate) use clients::{Answer, curl, get, output_of};
pub(crate) use control_plane::{ApiClient, ControlPlane};
pub(crate) use conversation::{Conversation, accepted};
pub(crate) use destination::{Told, ask_where, at};
pub(crate) use dns::{Answering, Dnsmasq, Played};
pub(crate) use haproxy::Haproxy;
pub(crate) use load::{Load, h2load, wrk, wrk_with};
pub(crate) use manifests::{IN_TURN, Manifests, service, slice};
pub(crate) use namespace::{Namespace, Pod, isolated};
pub(crate) use network::enter_own_network;
pub(crate) use nginx::Nginx;
pub(crate) use postgres::Postgres;
pub(crate) use process::Process;
pub(crate) use python::{
    GrpcServer, WebSocketServer, grpc_chat, grpc_client, grpc_load, python, websocket_client, websocket_load,
};
pub(crate) use recorder::Recorder;
pub(crate) use redis::Redis;
pub(crate) use sidecar::Sidecar;
pub(crate) use steady::{Client, Seen, SteadyLoad, milliseconds};
pub(crate) use time::{until, within};
