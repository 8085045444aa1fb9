//! What the filter asks of the proxy that it runs in: the part of the proxy-wasm ABI (0.2.1) that it uses, as narrow traits, so that a scripted
//! host can stand in for Envoy.
//!
//! Nothing here fails: what a host cannot give is absent, and what it cannot do is left undone. A filter that panicked for it would take the traffic of its worker along.

use std::time::Duration;

use svc_core::time::Now;

use crate::headers::Headers;

/// What every context may ask for.
pub trait Host {
    /// The time.
    fn now(&self) -> Now;
    /// Writes to the proxy's log.
    fn log(&self, level: Level, message: &str);
    /// An attribute of the connection or request, such as `["source", "address"]`.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Leaves an attribute for the proxy's access log, and for the filters behind this one.
    fn set_property(&self, path: &[&str], value: &[u8]);
    /// A statistic of the proxy; the same number for the same name.
    fn define(&self, kind: Meter, name: &str) -> Option<MeterId>;
    /// Adds to a counter.
    fn add(&self, id: MeterId, count: u64);
    /// Sets a gauge.
    fn set(&self, id: MeterId, value: u64);
}

/// What the context of the plugin itself may ask for.
pub trait Plugin: Host {
    /// The plugin's configuration.
    fn configuration(&self) -> Vec<u8>;
    /// The variables that the VM's configuration hands in.
    fn environment(&self) -> Vec<(String, String)>;
    /// A number that nobody can foresee.
    fn chance(&self) -> u64;
    /// Asks to be ticked.
    fn tick_every(&self, period: Duration);
    /// Sends a request without a body to a cluster; the number that its answer comes with.
    fn call(&self, cluster: &str, head: &[(&str, &str)], timeout: Duration) -> Option<CallId>;
    /// A header of the answer that has come.
    fn answer_header(&self, name: &str) -> Option<Vec<u8>>;
    /// The body of the answer that has come, no more than `bytes_max` of it.
    fn answer_body(&self, bytes_max: usize) -> Vec<u8>;
    /// Whether what follows is asked for on behalf of that context.
    fn act_for(&self, context: u32) -> bool;
    /// Closes the client's connection of the context that is acted for.
    fn close_downstream(&self);
}

/// What an HTTP stream may ask for.
pub trait Http: Host {
    /// All headers of the request, the pseudo-headers first.
    fn request_headers(&self) -> Headers;
    /// Sets one header of the request in the place of all of its name, or removes them.
    fn set_request_header(&self, name: &str, value: Option<&[u8]>);
    /// One header of the response.
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    /// One trailer of the response.
    fn response_trailer(&self, name: &str) -> Option<Vec<u8>>;
    /// Sets one header of the response.
    fn set_response_header(&self, name: &str, value: &[u8]);
    /// The time of day, in seconds since 1970.
    fn unix_seconds(&self) -> u64;
    /// Answers in the endpoint's stead.
    fn reply(&self, status: u16, head: Vec<(&str, &[u8])>, body: &[u8]);
}

/// What a TCP connection may ask for.
pub trait Tcp: Host {
    /// What the client has sent and nobody has taken yet, no more than `bytes_max` of it.
    fn downstream_data(&self, bytes_max: usize) -> Vec<u8>;
    /// Takes the first bytes of that away.
    fn drop_downstream_data(&self, bytes: usize);
    /// Closes the client's connection.
    fn close_downstream(&self);
}

/// Names a request to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub u32);

/// Names a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterId(pub u32);

/// What kind of a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// Only grows.
    Counter,
    /// Has a value.
    Gauge,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A turn off the happy path.
    Debug,
    /// What a user would notice.
    Info,
    /// What should wake someone.
    Warn,
    /// What keeps the plugin from starting.
    Error,
}

/// Whether the proxy goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It does.
    Continue,
    /// It waits: for more bytes, or for ever where it has been answered.
    Pause,
}
