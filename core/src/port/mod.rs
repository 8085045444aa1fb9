//! State of a Service port across snapshots: endpoint statistics, the balancer's state, and the pins of its clients.
//!
//! Nothing here locks or shares. Where several workers have a port in common, each of these parts stands behind a lock of theirs or
//! belongs to one of them. A worker that shares nothing has all parts in one: a [`WorkerPort`].

mod affinity;
mod balancer_state;
mod registry;

mod alone;
mod attempt_handle;
mod ports;

pub use affinity::{Affinity, gone};
pub use alone::{Pinning, WorkerPort};
pub use attempt_handle::AttemptHandle;
pub use balancer_state::BalancerState;
pub use ports::WorkerPorts;
pub use registry::EndpointRegistry;

use alloc::sync::Arc;

use crate::address::{ServiceName, Transport};
use crate::balance::Member;
use crate::outcome::Failure;
use crate::stats::PortStats;
use crate::table::{Table, Target};

/// Names a Service port across snapshots.
pub type PortKey = (ServiceName, u16, Transport);

/// The name of the port that `target` is in some snapshot.
pub fn port_key(target: &Target) -> PortKey {
    (target.service.name.clone(), target.port.port, target.port.transport)
}

/// The port of that name in a snapshot.
pub fn target<'t>(key: &PortKey, table: &'t Table) -> Option<&'t Arc<Target>> {
    table.by_name(&key.0)?.target(key.2, key.1)
}

/// The reason why none of `members` can be picked.
pub fn unavailable_reason(members: &[Member], port: &PortStats) -> Failure {
    match members.iter().any(|member| port.is_full(&member.stats)) {
        true => Failure::TooManyConnections,
        false => Failure::NoEndpoints,
    }
}
