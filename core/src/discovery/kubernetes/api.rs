//! Inputs and outputs of the state machine.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::report::Report;
use crate::address::ServiceName;
use crate::inventory::Change;
use crate::service::Rules;
use crate::time::Now;

/// Settings of the source.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod's own: its Services are all watched.
    pub namespace: Arc<str>,
    /// How objects are read.
    pub rules: Rules,
    /// Whether the pod's zone and node are to be looked for in the slices of its namespace.
    pub wants_place: bool,
}

/// A lookup on demand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// The endpoints of a Service.
    Service(ServiceName),
    /// The Service that has this address, of those that [`may_be_cluster_ip`](super::may_be_cluster_ip) admits. Nobody waits for it.
    Address(IpAddr),
}

/// The result of a lookup on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The API server has answered, and this source decides.
    Known,
    /// There is no answer, or no such object: the next source is asked.
    Unknown,
}

/// The identity of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An instruction for the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection, and say [`connected`](super::Kubernetes::connected) or [`disconnected`](super::Kubernetes::disconnected).
    Connect,
    /// Close it, and read the credentials anew before the next. Its requests are forgotten; nothing of it is to be told any more.
    Disconnect,
    /// GET this.
    Send {
        /// The identity under which its answer is reported.
        id: RequestId,
        /// With its query.
        path: String,
        /// For the header `Accept`.
        accept: &'static str,
    },
    /// Abort the request: the rest of its answer is not needed.
    Cancel(RequestId),
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Complete.
    Whole,
    /// Cut off.
    Cut,
}

/// The output of one [`poll`](super::Kubernetes::poll). The changes are to be applied together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Instructions, in order.
    pub actions: Vec<Action>,
    /// Changes for the inventory.
    pub changes: Vec<Change>,
    /// Finished lookups. Waiting requests are woken once the changes are in force.
    pub settled: Vec<(Want, Outcome)>,
    /// Lines for the log.
    pub reports: Vec<Report>,
    /// Whether [`rejections`](super::Kubernetes::rejections) says something else than before.
    pub rejections_changed: bool,
    /// When to ask again, if nothing happens before.
    pub wake: Option<Now>,
}
