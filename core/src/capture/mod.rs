//! Which connections of a pod go through its sidecar: facts about the pod in, nftables text out.
//!
//! Everything stands in one table of ours, so that nothing of anybody else's is touched, and is written in one transaction, so that
//! the rules of before hold until all of the new ones do.

mod mistake;
mod redirect;
mod routes;
mod sparing;
mod text;
mod transparent;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

pub use mistake::Mistake;
pub use routes::{Call, Family, unrouting};

/// What is known about a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
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

/// Facts that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture(Facts);

impl Capture {
    /// Looks whether the facts go together.
    ///
    /// # Errors
    /// Everything that does not; never empty.
    pub fn of(facts: Facts) -> Result<Capture, Vec<Mistake>> {
        let mistakes = mistake::all(&facts);
        if mistakes.is_empty() { Ok(Capture(facts)) } else { Err(mistakes) }
    }

    /// What `nft -f -` is to read: it makes the table anew, whether it was there or not.
    pub fn rules(&self) -> String {
        text::table(&[
            self.0.outbound.map(|port| redirect::output(&self.0, port)),
            self.redirected().map(|port| redirect::prerouting(&self.0, port)),
            self.taken_over().map(|port| transparent::prerouting(&self.0, port)),
            self.taken_over().map(|_| transparent::to_clients()),
            self.taken_over().map(|_| transparent::answers()),
            self.with_datagrams().map(|_| transparent::datagrams(&self.0)),
            self.with_datagrams().map(transparent::datagrams_here),
        ])
    }

    /// The routes that the rules need, each family by itself; none where they redirect.
    pub fn routing(&self, families: &[Family]) -> Vec<Call> {
        match self.0.privileges {
            Privileges::None => Vec::new(),
            Privileges::Transparent => families.iter().flat_map(|&family| routes::routing(family)).collect(),
        }
    }

    fn redirected(&self) -> Option<u16> {
        self.0.inbound.filter(|_| self.0.privileges == Privileges::None)
    }

    fn with_datagrams(&self) -> Option<u16> {
        self.0.outbound.filter(|_| self.0.privileges == Privileges::Transparent)
    }

    fn taken_over(&self) -> Option<u16> {
        self.0.inbound.filter(|_| self.0.privileges == Privileges::Transparent)
    }
}

/// What `nft -f -` is to read for the table to be gone, whether it was there or not.
pub const REMOVAL: &str = "\
add table inet svcmesh
delete table inet svcmesh
";

#[cfg(test)]
mod tests;
