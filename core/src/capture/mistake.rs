//! Facts that do not go together.

use alloc::vec::Vec;
use core::fmt;

use super::facts::{PodFacts, Privileges};

/// Why there can be no rules for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureConflict {
    /// Neither direction is to be captured.
    NothingToCapture,
    /// Both directions go to one port.
    OnePortForBoth,
    /// The port of `--outbound` is one that the sidecar has for something else.
    OutboundTaken,
    /// The port of `--inbound` is one that the sidecar has for something else.
    InboundTaken,
    /// Nothing tells the sidecar's connections from the application's.
    OwnUnknown,
    /// The sidecar would be told by the user that most applications run as.
    OwnIsRoot,
}

impl fmt::Display for CaptureConflict {
    /// What should have been there instead.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CaptureConflict::NothingToCapture => "one direction to capture at least",
            CaptureConflict::OnePortForBoth => "another port than that of the other direction",
            CaptureConflict::OutboundTaken | CaptureConflict::InboundTaken => {
                "a port that the sidecar has for nothing else"
            }
            CaptureConflict::OwnUnknown => {
                "the user that the sidecar runs as, for its own connections must not be captured"
            }
            CaptureConflict::OwnIsRoot => {
                "a user of the sidecar's own: whatever runs as root would not be captured"
            }
        })
    }
}

pub(super) fn all(facts: &PodFacts) -> Vec<CaptureConflict> {
    let taken = |port: Option<u16>| port.is_some_and(|port| facts.sidecar_ports.contains(&port));
    let found = [
        (facts.outbound.is_none() && facts.inbound.is_none(), CaptureConflict::NothingToCapture),
        (facts.outbound.is_some() && facts.outbound == facts.inbound, CaptureConflict::OnePortForBoth),
        (taken(facts.outbound), CaptureConflict::OutboundTaken),
        (taken(facts.inbound), CaptureConflict::InboundTaken),
        (facts.outbound.is_some() && is_unknown(facts), CaptureConflict::OwnUnknown),
        (facts.user == Some(0), CaptureConflict::OwnIsRoot),
    ];
    found.into_iter().filter_map(|(is_so, mistake)| is_so.then_some(mistake)).collect()
}

/// Whether neither user nor mark tells the sidecar's connections from the application's: they would be brought back to it.
fn is_unknown(facts: &PodFacts) -> bool {
    match facts.privileges {
        Privileges::None => facts.user.is_none(),
        Privileges::Transparent => false,
    }
}
