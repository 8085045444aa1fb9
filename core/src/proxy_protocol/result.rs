//! The result of reading a PROXY header.

use svc_proto::proxy_header::Origin;

use super::ProxyHeaderError;

/// The result of reading a PROXY header; in shadow mode what it would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyHeaderResult {
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
    /// [`ProxyHeaderResult::Accepted`], in shadow mode.
    ObservedAccepted,
    /// [`ProxyHeaderResult::Local`], in shadow mode.
    ObservedLocal,
    /// [`ProxyHeaderResult::RefusedUntrusted`], in shadow mode.
    ObservedRefusedUntrusted,
    /// [`ProxyHeaderResult::Missing`], in shadow mode.
    ObservedMissing,
    /// [`ProxyHeaderResult::Malformed`], in shadow mode.
    ObservedMalformed,
    /// [`ProxyHeaderResult::Timeout`], in shadow mode.
    ObservedTimeout,
}

impl ProxyHeaderResult {
    /// All of them, for lists and tables.
    pub const ALL: [ProxyHeaderResult; 12] = [
        ProxyHeaderResult::Accepted,
        ProxyHeaderResult::Local,
        ProxyHeaderResult::RefusedUntrusted,
        ProxyHeaderResult::Missing,
        ProxyHeaderResult::Malformed,
        ProxyHeaderResult::Timeout,
        ProxyHeaderResult::ObservedAccepted,
        ProxyHeaderResult::ObservedLocal,
        ProxyHeaderResult::ObservedRefusedUntrusted,
        ProxyHeaderResult::ObservedMissing,
        ProxyHeaderResult::ObservedMalformed,
        ProxyHeaderResult::ObservedTimeout,
    ];

    /// The same, counted and not acted on.
    pub fn observed(self) -> ProxyHeaderResult {
        match self {
            ProxyHeaderResult::Accepted | ProxyHeaderResult::ObservedAccepted => {
                ProxyHeaderResult::ObservedAccepted
            }
            ProxyHeaderResult::Local | ProxyHeaderResult::ObservedLocal => ProxyHeaderResult::ObservedLocal,
            ProxyHeaderResult::RefusedUntrusted | ProxyHeaderResult::ObservedRefusedUntrusted => {
                ProxyHeaderResult::ObservedRefusedUntrusted
            }
            ProxyHeaderResult::Missing | ProxyHeaderResult::ObservedMissing => {
                ProxyHeaderResult::ObservedMissing
            }
            ProxyHeaderResult::Malformed | ProxyHeaderResult::ObservedMalformed => {
                ProxyHeaderResult::ObservedMalformed
            }
            ProxyHeaderResult::Timeout | ProxyHeaderResult::ObservedTimeout => {
                ProxyHeaderResult::ObservedTimeout
            }
        }
    }

    /// The name that metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            ProxyHeaderResult::Accepted => "accepted",
            ProxyHeaderResult::Local => "local",
            ProxyHeaderResult::RefusedUntrusted => "refused_untrusted",
            ProxyHeaderResult::Missing => "missing",
            ProxyHeaderResult::Malformed => "malformed",
            ProxyHeaderResult::Timeout => "timeout",
            ProxyHeaderResult::ObservedAccepted => "observed_accepted",
            ProxyHeaderResult::ObservedLocal => "observed_local",
            ProxyHeaderResult::ObservedRefusedUntrusted => "observed_refused_untrusted",
            ProxyHeaderResult::ObservedMissing => "observed_missing",
            ProxyHeaderResult::ObservedMalformed => "observed_malformed",
            ProxyHeaderResult::ObservedTimeout => "observed_timeout",
        }
    }
}

impl From<Origin> for ProxyHeaderResult {
    fn from(origin: Origin) -> ProxyHeaderResult {
        match origin {
            Origin::Local => ProxyHeaderResult::Local,
            Origin::Unknown | Origin::Client(_) => ProxyHeaderResult::Accepted,
        }
    }
}

impl From<ProxyHeaderError> for ProxyHeaderResult {
    fn from(refusal: ProxyHeaderError) -> ProxyHeaderResult {
        match refusal {
            ProxyHeaderError::Untrusted => ProxyHeaderResult::RefusedUntrusted,
            ProxyHeaderError::Missing => ProxyHeaderResult::Missing,
            ProxyHeaderError::Malformed => ProxyHeaderResult::Malformed,
            ProxyHeaderError::Late => ProxyHeaderResult::Timeout,
        }
    }
}
