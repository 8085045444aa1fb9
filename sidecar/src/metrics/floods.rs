//! Kinds of clients that do what nobody does who wants an answer.

use svc_core::outcome::Failure;

/// A kind of flood, as `svcmesh_floods_total` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// More connections than `--max-connections`.
    Connections,
    /// A request head that does not end in time.
    SlowHead,
    /// A request head that is longer than any may be.
    LongHead,
    /// Streams that are opened to be reset.
    Resets,
    /// More memory than there is for all clients together, and most of it this one's.
    Memory,
    /// An answer of which nothing is taken for a long time.
    SlowRead,
    /// The body of a request of which nothing comes for a long time.
    SlowBody,
    /// Frames of HTTP/2 that no message needs: a head in ever smaller pieces, streams that are reset before we have seen them, control frames without end.
    Frames,
}

impl Flood {
    pub(crate) const ALL: [Flood; 8] = [
        Flood::Connections,
        Flood::SlowHead,
        Flood::LongHead,
        Flood::Resets,
        Flood::Memory,
        Flood::SlowRead,
        Flood::SlowBody,
        Flood::Frames,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Flood::Connections => "connections",
            Flood::SlowHead => "slow-head",
            Flood::LongHead => "long-head",
            Flood::Resets => "resets",
            Flood::Memory => "memory",
            Flood::SlowRead => "slow-read",
            Flood::SlowBody => "slow-body",
            Flood::Frames => "frames",
        }
    }

    /// The one that a request is which we refuse, if it is any.
    pub(crate) fn behind(refused: Failure) -> Option<Flood> {
        matches!(refused, Failure::HeadTooLarge | Failure::TargetTooLong).then_some(Flood::LongHead)
    }
}
