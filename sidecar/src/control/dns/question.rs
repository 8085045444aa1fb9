//! What DNS is asked, and what it says.

use std::sync::Arc;
use std::time::Duration;

use svc_core::dns::answer::{QueryType, Record};
use svc_core::outcome::Failure;
use svc_core::time::Now;

use crate::metrics::LookedUp;

/// What is asked: the records of one type of one name, which is absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Question {
    pub(crate) name: Arc<str>,
    pub(crate) kind: QueryType,
}

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// At least one record, kept for `lifetime`. `aliased`: they belong to another name.
    Found { records: Vec<Record>, lifetime: Duration, aliased: bool },
    /// There is no such record; where the name does not exist there is no other either.
    Denied { lifetime: Option<Duration>, exists: bool },
    /// Its aliases lead nowhere, for this reason.
    Nowhere(Failure),
    /// It could not say.
    Failed(LookedUp),
    /// It says that this is not for it to say.
    Refused,
}

/// What a reply means for those who use the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyMeaning {
    /// It counts.
    Answer,
    /// It is none, and there is one from before.
    ServesOn,
    /// It is none.
    Nothing,
}

pub(super) fn after(now: Now, wait: Duration) -> Now {
    Now(now.0 + wait)
}
