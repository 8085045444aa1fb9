//! The trip of a connection, stage by stage, in the order it takes them.

pub(crate) mod account;
pub(crate) mod mesh;
pub(crate) mod roster;
pub(crate) mod shared;
pub(crate) mod trial;

pub(crate) mod arrival;
pub(crate) mod proxy_header;
pub(crate) mod way;

pub(crate) mod alpn;
pub(crate) mod tls;

pub(crate) mod detect;
pub(crate) mod io;

pub(crate) mod flood;
pub(crate) mod http1_body;
pub(crate) mod http1_server;
pub(crate) mod http2_server;
pub(crate) mod http2_stream;

pub(crate) mod affinity;
pub(crate) mod application;
pub(crate) mod attempts;
pub(crate) mod forward;
pub(crate) mod hops;
pub(crate) mod introduction;
pub(crate) mod limits;
pub(crate) mod provenance;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod rewrite;
pub(crate) mod route;
pub(crate) mod target;

pub(crate) mod connect;
pub(crate) mod upstream;
pub(crate) mod upstreams;

pub(crate) mod body;
pub(crate) mod respond;

pub(crate) mod tcp;
pub(crate) mod tunnel;
pub(crate) mod udp;
pub(crate) mod upgrade;
pub(crate) mod websocket;
