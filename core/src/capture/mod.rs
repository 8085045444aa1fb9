//! Which connections of a pod go through its sidecar: facts about the pod in, nftables text out.
//!
//! Everything stands in one table of ours, so that nothing of anybody else's is touched, and is written in one transaction, so that
//! the rules of before hold until all of the new ones do.

mod mistake;
mod redirect;
mod text;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

pub use mistake::Mistake;

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
    /// How the sidecar's own connections are told from the application's.
    pub own: Own,
}

/// What only the sidecar's packets have. With neither, capture would bring the sidecar's connections back to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The user that it runs as.
    pub user: Option<u32>,
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
            self.0.inbound.map(|port| redirect::prerouting(&self.0, port)),
        ])
    }
}

/// What `nft -f -` is to read for the table to be gone, whether it was there or not.
pub const REMOVAL: &str = "\
add table inet svcmesh
delete table inet svcmesh
";

#[cfg(test)]
mod tests;
