//! What passes between the decisions and whoever carries them out.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::report::Report;
use crate::address::ServiceName;
use crate::inventory::Change;
use crate::service::Rules;
use crate::time::Now;

/// What an operator, and the pod, decide.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pod's own: its Services are all watched.
    pub namespace: Arc<str>,
    /// How objects are read.
    pub rules: Rules,
    /// The pod's own addresses, where its zone and node must be looked for in the slices of its namespace.
    pub wants_place: Option<Vec<IpAddr>>,
}

/// What somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Want {
    /// The endpoints of a Service.
    Service(ServiceName),
    /// The Service that has this address.
    Address(IpAddr),
}

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The API server has told, and this source decides.
    Known,
    /// It has not, or there is nothing: the next source is asked.
    Unknown,
}

/// Names a request of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection, and say [`connected`](super::Kubernetes::connected) or [`disconnected`](super::Kubernetes::disconnected).
    Connect,
    /// Close it, and read the credentials anew before the next. Its requests are forgotten; nothing of it is to be told any more.
    Disconnect,
    /// GET this.
    Send {
        /// What its answer is told under.
        id: RequestId,
        /// With its query.
        path: String,
        /// For the header `Accept`.
        accept: &'static str,
    },
    /// Nobody waits for the rest of its answer.
    Cancel(RequestId),
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By its own end.
    Whole,
    /// In the middle.
    Cut,
}

/// What follows from everything told so far. All of it is to be acted on, the changes in one go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// In this order.
    pub actions: Vec<Action>,
    /// For the inventory, at once.
    pub changes: Vec<Change>,
    /// Whoever waits for these waits no longer, once the changes are in force.
    pub settled: Vec<(Want, Outcome)>,
    /// For the log.
    pub reports: Vec<Report>,
    /// Whether [`rejections`](super::Kubernetes::rejections) says something else than before.
    pub rejections_changed: bool,
    /// When to ask again, if nothing happens before.
    pub wake: Option<Now>,
}

/// Where the pod runs, as far as the slices of its namespace say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its zone.
    pub zone: Option<Arc<str>>,
    /// Its node.
    pub node: Option<Arc<str>>,
}
