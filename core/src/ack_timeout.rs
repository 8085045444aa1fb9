//! Detects endpoints whose kernel stopped acknowledging for longer than the connect timeout. A process that is slow has a kernel that acknowledges for it; an address that leads nowhere has none.

use core::time::Duration;

/// What the kernel knows of a connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments sent and not acknowledged.
    pub unacknowledged: u32,
    /// How often in a row the oldest of them was sent again for want of an acknowledgement.
    pub repeated: u8,
    /// Bytes that wait for the other side's window.
    pub unsent_bytes: u32,
    /// How often in a row its window of zero was asked after in vain.
    pub probes: u8,
    /// The time in which an answer comes, if one does: smoothed round-trip time and four times its variance (RFC 6298 §2).
    pub round_trip: Duration,
    /// When data was last sent, or sent again.
    pub sent_ago: Duration,
    /// When anything was last acknowledged, a window of zero included.
    pub heard_ago: Duration,
}

/// The state of acknowledgements on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckState {
    /// The endpoint owes nothing.
    Settled,
    /// It owes something, and was heard of or asked so long ago.
    Owes(Duration),
    /// Its window is closed, and it was asked twice whether it still is, in vain so far. If that is so at the next look, it is silent.
    Doubted,
    /// It was asked again, and nothing was heard of it for too long.
    Silent,
}

/// Judges an endpoint that may have owed an acknowledgement for `silence_max`.
///
/// Nobody is silent who was not asked again: on a long way the first answer takes its time. Nor is who answered what was sent last, or had
/// no time to: a reader that is overrun keeps a segment unacknowledged for as long as it does not read, and says so each time that it is
/// asked. A reader with a window of zero owes nothing, and is asked whether it still has one, ever more seldom, up to every two minutes:
/// one such question may be lost, the second one not. `doubted`: the look before was in [`AckState::Doubted`].
pub fn judge(info: TcpInfo, silence_max: Duration, doubted: bool) -> AckState {
    let TcpInfo { unacknowledged, repeated, unsent_bytes, probes, round_trip, sent_ago, heard_ago } = info;
    match unacknowledged {
        0 if probes >= PROBES_MIN && doubted && heard_ago >= silence_max => AckState::Silent,
        0 if probes >= PROBES_MIN => AckState::Doubted,
        0 if probes > 0 || unsent_bytes > 0 => AckState::Owes(Duration::ZERO),
        0 => AckState::Settled,
        _ if repeated == 0 => AckState::Owes(sent_ago),
        _ if heard_ago < silence_max => AckState::Owes(heard_ago),
        _ if heard_ago <= sent_ago => AckState::Owes(Duration::ZERO),
        _ if sent_ago < round_trip => AckState::Owes(heard_ago),
        _ => AckState::Silent,
    }
}

const PROBES_MIN: u8 = 2;

/// How long an endpoint may be silent where opening a connection may take `connect_timeout`; who looks every `tick` sees it within that.
pub fn silence_max(connect_timeout: Duration, tick: Duration) -> Duration {
    connect_timeout.saturating_sub(tick / 2).max(SILENCE_MIN)
}

/// Linux sends a lone segment again after 200 ms and after 400 ms, the second time as a repetition that it counts.
const SILENCE_MIN: Duration = Duration::from_millis(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Of an endpoint that may be silent for a second.
    #[track_caller]
    fn check(unacknowledged: u32, repeated: u8, sent_ago_ms: u64, heard_ago_ms: u64, expected: AckState) {
        let (sent_ago, heard_ago) = (ms(sent_ago_ms), ms(heard_ago_ms));
        let info = TcpInfo { unacknowledged, repeated, sent_ago, heard_ago, ..CLOSED };
        assert_eq!(judge(info, ms(1000), false), expected, "{info:?}");
    }

    #[test]
    fn an_address_that_leads_nowhere_is_silent() {
        check(1, 1, 600, 1000, AckState::Silent);
        check(40, 2, 200, 50_000, AckState::Silent);
    }

    #[test]
    fn an_endpoint_that_thinks_has_acknowledged_the_question() {
        check(0, 0, 50_000, 50_000, AckState::Settled);
    }

    #[test]
    fn a_reader_with_a_window_of_zero_owes_nothing() {
        check(0, 0, 900, 900, AckState::Settled);
    }

    /// A window of zero that nobody has asked after.
    const CLOSED: TcpInfo = TcpInfo {
        unacknowledged: 0,
        repeated: 0,
        unsent_bytes: 0,
        probes: 0,
        round_trip: Duration::from_millis(20),
        sent_ago: Duration::from_secs(80),
        heard_ago: Duration::from_secs(50),
    };

    #[test]
    fn a_reader_that_pauses_is_looked_after_and_not_silent_as_long_as_it_answers() {
        let waits = AckState::Owes(ms(0));
        assert_eq!(judge(TcpInfo { unsent_bytes: 9, ..CLOSED }, ms(1000), false), waits);
        assert_eq!(judge(TcpInfo { unsent_bytes: 9, probes: 1, ..CLOSED }, ms(1000), true), waits);
        let answered_since = TcpInfo { unsent_bytes: 9, probes: 2, heard_ago: ms(900), ..CLOSED };
        assert_eq!(judge(answered_since, ms(1000), true), AckState::Doubted);
    }

    #[test]
    fn a_reader_that_pauses_and_leaves_is_silent_once_two_questions_had_their_time() {
        let asked_twice = TcpInfo { unsent_bytes: 9, probes: 2, ..CLOSED };
        assert_eq!(judge(asked_twice, ms(1000), false), AckState::Doubted);
        assert_eq!(judge(asked_twice, ms(1000), true), AckState::Silent);
    }

    #[test]
    fn what_was_sent_again_just_now_has_the_time_of_a_round_trip() {
        check(1, 4, 19, 60_000, AckState::Owes(ms(60_000)));
        check(1, 4, 20, 60_000, AckState::Silent);
    }

    #[test]
    fn a_reader_that_is_overrun_answers_each_time() {
        check(1, 4, 1500, 1500, AckState::Owes(ms(0)));
        check(1, 4, 1500, 1499, AckState::Owes(ms(0)));
    }

    #[test]
    fn a_loss_among_answers_is_no_silence() {
        check(3, 1, 10, 250, AckState::Owes(ms(250)));
    }

    #[test]
    fn a_long_way_has_its_time() {
        check(1, 0, 900, 1000, AckState::Owes(ms(900)));
    }

    #[test]
    fn it_is_seen_within_the_connect_timeout() {
        assert_eq!(silence_max(ms(1000), ms(250)), ms(875));
        assert_eq!(silence_max(ms(100), ms(250)), SILENCE_MIN);
    }
}
