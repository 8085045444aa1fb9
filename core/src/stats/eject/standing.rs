//! Where an endpoint stands.

/// Where an endpoint stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) stage: Stage,
    /// How often it was ejected without having been well for long.
    pub(super) strikes: u8,
    /// Usable: since when. Ejected: when the probe is due. Probed: when the probe is given up.
    pub(super) at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Usable,
    Ejected,
    /// Ejected, and a probe is under way.
    Probed,
    /// No member.
    Away,
}

impl Standing {
    pub(super) fn is_ejected(self) -> bool {
        matches!(self.stage, Stage::Ejected | Stage::Probed)
    }
}

impl From<u64> for Standing {
    fn from(word: u64) -> Standing {
        let stage = match word & 0b11 {
            0 => Stage::Usable,
            1 => Stage::Ejected,
            2 => Stage::Probed,
            _ => Stage::Away,
        };
        Standing { stage, strikes: (word >> 2) as u8, at_ms: word >> AT_SHIFT }
    }
}

impl From<Standing> for u64 {
    fn from(standing: Standing) -> u64 {
        standing.at_ms << AT_SHIFT | u64::from(standing.strikes) << 2 | standing.stage as u64
    }
}

/// 54 bits are left for the time.
const AT_SHIFT: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_all_of_it() {
        for stage in [Stage::Usable, Stage::Ejected, Stage::Probed, Stage::Away] {
            for (strikes, at_ms) in [(0, 0), (255, 1), (1, (1 << 54) - 1)] {
                let standing = Standing { stage, strikes, at_ms };
                assert_eq!(Standing::from(u64::from(standing)), standing);
            }
        }
        assert_eq!(Standing::from(0).stage, Stage::Usable, "as a new endpoint is");
    }
}
