//! Outlier detection: an endpoint that fails is ejected for a growing time, and comes back.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use super::port::PortStats;
use super::reason::Reason;
use super::recent::Recent;
use crate::service::EjectPolicy;
use crate::time::{Now, millis};

mod standing;

use standing::{EjectionStage, EjectionState};

/// Judges one endpoint by what comes of the attempts at it.
///
/// It is ejected after so many failures in a row, or when its success rate over the last ten seconds is poor: an endpoint that fails every
/// second request, because one of its two databases is gone, never fails five times in a row for long. Once its penalty is over one real
/// request goes there, the *probe*: its success ends the ejection, its failure lengthens it.
///
/// All workers share it. Whoever wins the exchange of a word's old value for its new one has made the change; the others have not.
#[derive(Debug, Default)]
pub struct Ejector {
    /// An [`EjectionState`].
    standing: AtomicU64,
    failures_in_a_row: AtomicU32,
    recent: Recent,
}

/// The right, and the duty, to tell what came of one request to an ejected endpoint.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "until somebody tells what came of it, no other request finds out either"]
pub struct Probe(u64);

/// What a user would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectionChange {
    /// It gets nothing for that long.
    Ejected {
        /// Why.
        reason: Reason,
        /// Until the probe.
        penalty: Duration,
    },
    /// The probe failed: it gets nothing for that long again.
    Kept {
        /// Until the next probe.
        penalty: Duration,
    },
    /// It is used again.
    Returned,
}

impl Ejector {
    /// An attempt went well.
    pub fn succeeded(&self, port: &PortStats, now: Now) {
        if !port.ejects() {
            return;
        }
        if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
        self.recent.succeeded(now);
    }

    /// An attempt that began at `begun` failed. One that began before the endpoint came back says nothing of how it is now.
    pub fn failed(&self, begun: Now, port: &PortStats, now: Now, draw: u64) -> Option<EjectionChange> {
        let policy = port.policy()?;
        let word = self.standing.load(Ordering::Acquire);
        let standing = EjectionState::from(word);
        if standing.stage == EjectionStage::Usable && millis(begun.0) < standing.at_ms {
            return None;
        }
        let in_a_row = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.recent.failed(now);
        let reason = match () {
            () if in_a_row >= policy.consecutive => Reason::Consecutive,
            () if self.recent.is_poor(now) => Reason::SuccessRate,
            () => return None,
        };
        let penalty = self.eject(word, policy, port, now, draw)?;
        port.count(reason);
        Some(EjectionChange::Ejected { reason, penalty })
    }

    fn eject(
        &self,
        word: u64,
        policy: EjectPolicy,
        port: &PortStats,
        now: Now,
        draw: u64,
    ) -> Option<Duration> {
        let before = EjectionState::from(word);
        if before.stage != EjectionStage::Usable || !port.take_place() {
            return None;
        }
        let well_ms = millis(now.0).saturating_sub(before.at_ms);
        let strikes = if well_ms >= millis(policy.max) { 0 } else { before.strikes }.saturating_add(1);
        let penalty_ms = policy.penalty_ms(strikes, draw);
        let after =
            EjectionState { stage: EjectionStage::Ejected, strikes, at_ms: millis(now.0) + penalty_ms };
        if !self.exchange(word, after) {
            port.give_place_back();
            return None;
        }
        port.look_at(after.at_ms);
        Some(Duration::from_millis(penalty_ms))
    }

    /// The probe, if one is due and nobody has it. A request that could not be sent again is taken only when none that could came for as
    /// long again as the penalty was: if the endpoint is still ill, it is this request that suffers.
    pub fn claim_probe(&self, replayable: bool, port: &PortStats, now: Now) -> Option<Probe> {
        let word = self.standing.load(Ordering::Acquire);
        let standing = EjectionState::from(word);
        if !standing.is_ejected() {
            return None;
        }
        let policy = port.policy()?;
        let penalty_ms = policy.penalty_ms(standing.strikes, 0);
        let waited_ms = millis(now.0).checked_sub(standing.at_ms)?;
        if !replayable && waited_ms < penalty_ms {
            return None;
        }
        let given_up_ms = millis(now.0) + penalty_ms.max(PROBE_PATIENCE_MS);
        let after = EjectionState { stage: EjectionStage::Probed, at_ms: given_up_ms, ..standing };
        self.exchange(word, after).then_some(Probe(after.into()))
    }

    /// The probe went well: the endpoint is used again, and what it did before is not held against it, but for how often.
    pub fn probe_succeeded(&self, probe: Probe, port: &PortStats, now: Now) -> Option<EjectionChange> {
        self.comes_back(probe.0, port, now).then_some(EjectionChange::Returned)
    }

    /// The probe failed.
    pub fn probe_failed(
        &self,
        probe: Probe,
        port: &PortStats,
        now: Now,
        draw: u64,
    ) -> Option<EjectionChange> {
        let strikes = EjectionState::from(probe.0).strikes.saturating_add(1);
        let penalty = self.stays_out(probe, strikes, port, now, draw)?;
        Some(EjectionChange::Kept { penalty })
    }

    /// The probe has told nothing: its client went away. The next one waits as long as this one did, for the client may have had its
    /// reasons.
    pub fn probe_abandoned(&self, probe: Probe, port: &PortStats, now: Now, draw: u64) {
        let strikes = EjectionState::from(probe.0).strikes;
        self.stays_out(probe, strikes, port, now, draw);
    }

    fn stays_out(
        &self,
        probe: Probe,
        strikes: u8,
        port: &PortStats,
        now: Now,
        draw: u64,
    ) -> Option<Duration> {
        let penalty_ms = port.policy()?.penalty_ms(strikes, draw);
        let after =
            EjectionState { stage: EjectionStage::Ejected, strikes, at_ms: millis(now.0) + penalty_ms };
        if !self.exchange(probe.0, after) {
            return None; // it was given up, or pardoned
        }
        port.look_at(after.at_ms);
        Some(Duration::from_millis(penalty_ms))
    }

    /// Ends the ejection, if there is one, without asking the endpoint.
    pub(super) fn pardon(&self, port: &PortStats, now: Now) {
        let word = self.standing.load(Ordering::Acquire);
        if EjectionState::from(word).is_ejected() {
            self.comes_back(word, port, now);
        }
    }

    fn comes_back(&self, word: u64, port: &PortStats, now: Now) -> bool {
        if self.standing.load(Ordering::Acquire) != word {
            return false;
        }
        // Before it is usable: afterwards a failure may be one that counts.
        self.failures_in_a_row.store(0, Ordering::Relaxed);
        self.recent.forget();
        let strikes = EjectionState::from(word).strikes;
        let came = self
            .exchange(word, EjectionState { stage: EjectionStage::Usable, strikes, at_ms: millis(now.0) });
        if came {
            port.give_place_back();
        }
        came
    }

    /// The endpoint is no member any more: it leaves its place among the ejected, and takes none from now on.
    pub(super) fn leave(&self, port: &PortStats) {
        let away = EjectionState { stage: EjectionStage::Away, strikes: 0, at_ms: 0 };
        let before = EjectionState::from(self.standing.swap(away.into(), Ordering::AcqRel));
        if before.is_ejected() {
            port.give_place_back();
        }
    }

    /// The endpoint is a member again, with a clean sheet; false when it was one.
    pub(super) fn arrive(&self) -> bool {
        let word = self.standing.load(Ordering::Acquire);
        if EjectionState::from(word).stage != EjectionStage::Away {
            return false;
        }
        self.failures_in_a_row.store(0, Ordering::Relaxed);
        self.recent.forget();
        self.exchange(word, EjectionState { stage: EjectionStage::Usable, strikes: 0, at_ms: 0 })
    }

    fn exchange(&self, before: u64, after: EjectionState) -> bool {
        self.standing.compare_exchange(before, after.into(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether it is left out.
    pub fn is_ejected(&self) -> bool {
        EjectionState::from(self.standing.load(Ordering::Acquire)).is_ejected()
    }

    /// Whether it has failed so often in a row that it is left out, or would be if there were room among the ejected.
    pub(crate) fn is_failing(&self, port: &PortStats) -> bool {
        let in_a_row = self.failures_in_a_row.load(Ordering::Relaxed);
        in_a_row > 0 && port.policy().is_some_and(|policy| in_a_row >= policy.consecutive)
    }

    /// When it is next due for a probe, in ms; `u64::MAX` when it is not ejected.
    pub(crate) fn due_ms(&self) -> u64 {
        let standing = EjectionState::from(self.standing.load(Ordering::Acquire));
        if standing.is_ejected() { standing.at_ms } else { u64::MAX }
    }
}

impl EjectPolicy {
    /// The penalty for having been ejected `strikes` times, up to a quarter less by `draw`: endpoints that failed together
    /// need not be asked together.
    fn penalty_ms(self, strikes: u8, draw: u64) -> u64 {
        let doublings = u32::from(strikes.saturating_sub(1)).min(DOUBLINGS_MAX);
        let whole_ms = (millis(self.base) << doublings).min(millis(self.max));
        whole_ms - ((whole_ms / 4 * (draw >> 32)) >> 32)
    }
}

/// 49 days (2^32 ms, the longest that a port keeps) doubled so often stay below 2^63 ms.
const DOUBLINGS_MAX: u32 = 31;

/// A probe that has told nothing for as long is given up, and another request becomes the probe.
const PROBE_PATIENCE_MS: u64 = 10_000;

#[cfg(test)]
mod tests;
