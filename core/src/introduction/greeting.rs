//! What came of a connection that had to say whom it is for.

use svc_proto::proxy_header::Origin;

use super::Refusal;

/// What came of it; in shadow mode what would have come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Greeting {
    /// A trusted peer has said for whom it speaks.
    Accepted,
    /// A trusted peer speaks for itself.
    Local,
    /// The peer may not speak for others.
    RefusedUntrusted,
    /// There was no header.
    Missing,
    /// There was one that is none.
    Malformed,
    /// It was not whole in time.
    Timeout,
    /// [`Greeting::Accepted`], in shadow mode.
    ObservedAccepted,
    /// [`Greeting::Local`], in shadow mode.
    ObservedLocal,
    /// [`Greeting::RefusedUntrusted`], in shadow mode.
    ObservedRefusedUntrusted,
    /// [`Greeting::Missing`], in shadow mode.
    ObservedMissing,
    /// [`Greeting::Malformed`], in shadow mode.
    ObservedMalformed,
    /// [`Greeting::Timeout`], in shadow mode.
    ObservedTimeout,
}

impl Greeting {
    /// All of them, for lists and tables.
    pub const ALL: [Greeting; 12] = [
        Greeting::Accepted,
        Greeting::Local,
        Greeting::RefusedUntrusted,
        Greeting::Missing,
        Greeting::Malformed,
        Greeting::Timeout,
        Greeting::ObservedAccepted,
        Greeting::ObservedLocal,
        Greeting::ObservedRefusedUntrusted,
        Greeting::ObservedMissing,
        Greeting::ObservedMalformed,
        Greeting::ObservedTimeout,
    ];

    /// The same, counted and not acted on.
    pub fn observed(self) -> Greeting {
        match self {
            Greeting::Accepted | Greeting::ObservedAccepted => Greeting::ObservedAccepted,
            Greeting::Local | Greeting::ObservedLocal => Greeting::ObservedLocal,
            Greeting::RefusedUntrusted | Greeting::ObservedRefusedUntrusted => {
                Greeting::ObservedRefusedUntrusted
            }
            Greeting::Missing | Greeting::ObservedMissing => Greeting::ObservedMissing,
            Greeting::Malformed | Greeting::ObservedMalformed => Greeting::ObservedMalformed,
            Greeting::Timeout | Greeting::ObservedTimeout => Greeting::ObservedTimeout,
        }
    }

    /// The name that metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Greeting::Accepted => "accepted",
            Greeting::Local => "local",
            Greeting::RefusedUntrusted => "refused_untrusted",
            Greeting::Missing => "missing",
            Greeting::Malformed => "malformed",
            Greeting::Timeout => "timeout",
            Greeting::ObservedAccepted => "observed_accepted",
            Greeting::ObservedLocal => "observed_local",
            Greeting::ObservedRefusedUntrusted => "observed_refused_untrusted",
            Greeting::ObservedMissing => "observed_missing",
            Greeting::ObservedMalformed => "observed_malformed",
            Greeting::ObservedTimeout => "observed_timeout",
        }
    }
}

impl From<Origin> for Greeting {
    fn from(origin: Origin) -> Greeting {
        match origin {
            Origin::Local => Greeting::Local,
            Origin::Unknown | Origin::Client(_) => Greeting::Accepted,
        }
    }
}

impl From<Refusal> for Greeting {
    fn from(refusal: Refusal) -> Greeting {
        match refusal {
            Refusal::Untrusted => Greeting::RefusedUntrusted,
            Refusal::Missing => Greeting::Missing,
            Refusal::Malformed => Greeting::Malformed,
            Refusal::Late => Greeting::Timeout,
        }
    }
}
