//! What is known about a pod.

use alloc::collections::BTreeSet;

/// What is known about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The port of `--outbound`, which takes what the application opens; `None` leaves that alone.
    pub outbound: Option<u16>,
    /// The port of `--inbound`, which takes what others open to the pod; `None` leaves that alone.
    pub inbound: Option<u16>,
    /// What else the sidecar listens on. Nothing of that is captured.
    pub sidecar_ports: BTreeSet<u16>,
    /// Ports elsewhere whose connections leave as the application opened them.
    pub skip_outbound: BTreeSet<u16>,
    /// Ports of the pod whose connections go to the application untouched.
    pub skip_inbound: BTreeSet<u16>,
    /// The user that the sidecar, and nobody else, runs as. Where its packets have no mark, they are known by that.
    pub user: Option<u32>,
    /// What the sidecar may do.
    pub privileges: Privileges,
}

/// What a sidecar may do beyond what any process may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privileges {
    /// Nothing.
    #[default]
    None,
    /// Mark its packets, and use the addresses of its clients towards the application (NET_ADMIN).
    Transparent,
}
