//! Which connections of a pod go through its sidecar: facts about the pod in, nftables text out.
//!
//! Everything stands in one table of ours, so that nothing of anybody else's is touched, and is written in one transaction, so that
//! the rules of before hold until all of the new ones do.

mod facts;
mod mistake;
mod redirect;
mod routes;
mod sparing;
mod text;
mod transparent;

use alloc::string::String;
use alloc::vec::Vec;

pub use facts::{PodFacts, Privileges};
pub use mistake::CaptureConflict;
pub use routes::{Call, Family, unrouting};
pub use text::REMOVAL;

/// Facts that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture(PodFacts);

impl Capture {
    /// Looks whether the facts go together.
    ///
    /// # Errors
    /// Everything that does not; never empty.
    pub fn of(facts: PodFacts) -> Result<Capture, Vec<CaptureConflict>> {
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

#[cfg(test)]
mod tests;
