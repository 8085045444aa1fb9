//! Which members a policy may choose among.

use super::Member;
use crate::time::Now;

/// Which members are eligible, beside what [`Ask::admits`] says.
#[derive(Clone, Copy, Debug)]
pub(super) enum EligibilityFilter {
    /// Members with fewer active requests than `active_max`.
    Full { active_max: u32 },
    /// Of these, the members that are not ejected.
    Out { active_max: u32 },
    /// Of these, the members that `draw` admits, by their shares.
    Share { active_max: u32, now: Now, draw: u64 },
}

impl EligibilityFilter {
    /// Apart from the code of the policies, which mostly run where nobody is out.
    #[cold]
    pub(super) fn admits(self, member: &Member) -> bool {
        let stats = &member.stats;
        let has_room = |active_max| stats.load.active() < active_max;
        match self {
            EligibilityFilter::Full { active_max } => has_room(active_max),
            EligibilityFilter::Out { active_max } => has_room(active_max) && !stats.is_out(),
            EligibilityFilter::Share { active_max, now, draw } => {
                has_room(active_max) && !stats.is_out() && stats.share.admits(member.id, now, draw)
            }
        }
    }
}
