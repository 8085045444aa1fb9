//! Where an endpoint stands.

/// Where an endpoint stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EjectionState {
    pub(super) stage: EjectionStage,
    /// How often it was ejected without having been well for long.
    pub(super) strikes: u8,
    /// Usable: since when. Ejected: when the probe is due. Probed: when the probe is given up.
    pub(super) at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EjectionStage {
    Usable,
    Ejected,
    /// Ejected, and a probe is under way.
    Probed,
    /// No member.
    Away,
}

impl EjectionState {
    pub(super) fn is_ejected(self) -> bool {
        matches!(self.stage, EjectionStage::Ejected | EjectionStage::Probed)
    }
}

impl From<u64> for EjectionState {
    fn from(word: u64) -> EjectionState {
        let stage = match word & 0b11 {
            0 => EjectionStage::Usable,
            1 => EjectionStage::Ejected,
            2 => EjectionStage::Probed,
            _ => EjectionStage::Away,
        };
        EjectionState { stage, strikes: (word >> 2) as u8, at_ms: word >> AT_SHIFT }
    }
}

impl From<EjectionState> for u64 {
    fn from(standing: EjectionState) -> u64 {
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
        for stage in
            [EjectionStage::Usable, EjectionStage::Ejected, EjectionStage::Probed, EjectionStage::Away]
        {
            for (strikes, at_ms) in [(0, 0), (255, 1), (1, (1 << 54) - 1)] {
                let standing = EjectionState { stage, strikes, at_ms };
                assert_eq!(EjectionState::from(u64::from(standing)), standing);
            }
        }
        assert_eq!(EjectionState::from(0).stage, EjectionStage::Usable, "as a new endpoint is");
    }
}
