//! One attempt at an endpoint: what it adds to the endpoint's load, and what it says of its latency and health.

use core::mem;
use core::time::Duration;

use super::eject::{EjectionChange, Probe};
use super::health::Health;
use super::pushback::{pushback_of_grpc_status, pushback_of_status};
use super::{EndpointStats, PortStats};
use crate::time::Now;

/// An attempt says at most once what came of it; if nothing is said, it tells nothing about the endpoint.
///
/// Time and chance are asked for where a look at the clock would be made for nothing most of the time.
#[derive(Debug)]
#[must_use = "its end takes it off the load of its endpoint"]
pub struct Attempt {
    begun: Now,
    /// Since when the endpoint has had all of the request.
    whole: Option<Now>,
    /// How long it may take is what the client has said.
    is_clients_deadline: bool,
    probe: Option<Probe>,
    is_told: bool,
    is_half_closed: bool,
}

/// Whom an attempt is about: the same from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointStats,
    /// The Service port that it is an endpoint of.
    pub port: &'a PortStats,
}

/// The head of an answer. `field` finds the first value of a header by its name in lower case.
#[derive(Clone, Copy, Debug)]
pub struct AnswerHead<F> {
    /// The status.
    pub status: u16,
    /// Whether it is the answer to a call of gRPC, of which the status says little.
    pub is_grpc: bool,
    /// Finds the first value of a header.
    pub field: F,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What has changed for the endpoint.
    pub change: Option<EjectionChange>,
    /// The pushback: for how long the endpoint has asked for less, which it gets now.
    pub backoff: Option<Duration>,
}

impl Attempt {
    /// Adds to the endpoint's load, until the [`Attempt::end`].
    pub fn begin(endpoint: &EndpointStats, probe: Option<Probe>, begun: Now) -> Attempt {
        endpoint.load.begin();
        let whole = Some(begun);
        Attempt { begun, whole, is_clients_deadline: false, probe, is_told: false, is_half_closed: false }
    }

    /// Since when the endpoint has had all of the request; `None` as long as it has not, for a client may send it as slowly as it likes. Until
    /// then no answer tells how fast the endpoint is, nor a bad one how well. A request without a body is whole from the beginning.
    pub fn has_had(&mut self, whole: Option<Now>) {
        self.whole = whole.map(|whole| whole.max(self.begun));
    }

    /// For how long the endpoint has had all of the request.
    pub fn had_for(&self, now: Now) -> Option<Duration> {
        self.whole.map(|whole| now.since(whole))
    }

    /// The client says how long the endpoint may take (`grpc-timeout`): that it took longer tells nothing about it.
    pub fn heeds_client(&mut self) {
        self.is_clients_deadline = true;
    }

    /// The head of the endpoint's answer is there. `unix_seconds` is the time of day.
    pub fn hears<'h>(
        &mut self,
        head: AnswerHead<impl Fn(&str) -> Option<&'h [u8]>>,
        of: Subject<'_>,
        unix_seconds: impl FnOnce() -> u64,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Heard {
        if let Some(took) = self.had_for(now).filter(|_| is_good(&head)) {
            of.endpoint.latency.observe(took, now);
        }
        let pushback = match head.status {
            // No other status is one: most answers need no look at their headers, nor at the time of day.
            429 | 503 => pushback_of_status(head.status, (head.field)(RETRY_AFTER), unix_seconds()),
            _ => None,
        };
        pushback.into_iter().for_each(|time| of.back_off(time, now));
        let at = || (now, draw());
        let heard = match Health::of_status(head.status) {
            Health::Failing if self.whole.is_none() => Heard::default(),
            Health::Failing => Heard { change: self.failed(of, at), backoff: None },
            Health::Well | Health::Busy if head.is_grpc => self.hears_grpc(head.field, of, at),
            Health::Well | Health::Busy => Heard { change: self.promises(of, || now), backoff: None },
        };
        Heard { backoff: heard.backoff.or(pushback), ..heard }
    }

    /// How a call of gRPC went, as the trailers say it, or the headers where there is nothing between (gRPC over HTTP/2, "Responses").
    pub fn hears_grpc<'h>(
        &mut self,
        field: impl Fn(&str) -> Option<&'h [u8]>,
        of: Subject<'_>,
        at: impl FnOnce() -> (Now, u64),
    ) -> Heard {
        let Some(status) = field(GRPC_STATUS) else { return Heard::default() };
        let (now, draw) = at();
        let pushback = pushback_of_grpc_status(status, field(GRPC_PUSHBACK));
        pushback.into_iter().for_each(|time| of.back_off(time, now));
        let is_clients = self.whole.is_none() || (self.is_clients_deadline && status == DEADLINE_EXCEEDED);
        let change = match Health::of_grpc_status(status) {
            Health::Failing if is_clients => None,
            Health::Failing => self.failed(of, || (now, draw)),
            Health::Well | Health::Busy => self.promises(of, || now),
        };
        Heard { change, backoff: pushback }
    }

    /// The endpoint has begun well. Its last word is still to come, but an ejection need not wait for that: a stream may take hours.
    pub fn promises(&mut self, of: Subject<'_>, now: impl FnOnce() -> Now) -> Option<EjectionChange> {
        let probe = self.probe.take()?;
        of.endpoint.probe_succeeded(probe, of.port, now())
    }

    /// The endpoint did what it was asked.
    pub fn succeeded(&mut self, of: Subject<'_>, now: Now) -> Option<EjectionChange> {
        if mem::replace(&mut self.is_told, true) {
            return None;
        }
        match self.probe.take() {
            Some(probe) => of.endpoint.probe_succeeded(probe, of.port, now),
            None => {
                of.endpoint.ejector.succeeded(of.port, now);
                None
            }
        }
    }

    /// The endpoint did not.
    pub fn failed(&mut self, of: Subject<'_>, at: impl FnOnce() -> (Now, u64)) -> Option<EjectionChange> {
        if mem::replace(&mut self.is_told, true) {
            return None;
        }
        let (ejector, (now, draw)) = (&of.endpoint.ejector, at());
        match self.probe.take() {
            Some(probe) => ejector.probe_failed(probe, of.port, now, draw),
            None => ejector.failed(self.begun, of.port, now, draw),
        }
    }

    /// Something more is asked of the endpoint, at `begun`: what comes of that is told anew.
    pub fn ask_again(&mut self, begun: Now) {
        (self.begun, self.is_told) = (begun, false);
    }

    /// When it began to find out if an ejected endpoint is well again, while it does not know yet.
    pub fn probe_begun(&self) -> Option<Now> {
        self.probe.as_ref().map(|_| self.begun)
    }

    /// One side of a tunnel has said its last.
    pub fn half_closed(&mut self, endpoint: &EndpointStats) {
        if !mem::replace(&mut self.is_half_closed, true) {
            endpoint.load.half_close();
        }
    }

    /// Nothing is asked of the endpoint any more. Told once.
    pub fn end(&mut self, of: Subject<'_>, at: impl FnOnce() -> (Now, u64)) {
        match self.is_half_closed {
            true => of.endpoint.load.end_half_closed(),
            false => of.endpoint.load.end(),
        }
        if let Some(probe) = self.probe.take() {
            let (now, draw) = at();
            of.endpoint.ejector.probe_abandoned(probe, of.port, now, draw);
        }
    }
}

impl Subject<'_> {
    fn back_off(self, time: Duration, now: Now) {
        self.endpoint.share.back_off(time, self.port, now);
    }
}

/// Whether the endpoint did what it was asked, so that the time it took counts: who refuses in no time must not look fast.
fn is_good<'h>(head: &AnswerHead<impl Fn(&str) -> Option<&'h [u8]>>) -> bool {
    let grpc_status = if head.is_grpc { (head.field)(GRPC_STATUS) } else { None };
    Health::of_status(head.status) == Health::Well
        && grpc_status.is_none_or(|status| Health::of_grpc_status(status) == Health::Well)
}

/// How a call of gRPC went.
pub const GRPC_STATUS: &str = "grpc-status";

/// The call took longer than it might (gRPC, `statuscodes.md`).
const DEADLINE_EXCEEDED: &[u8] = b"4";

/// When a server wants to have the call again (gRFC A6, "Pushback").
const GRPC_PUSHBACK: &str = "grpc-retry-pushback-ms";

const RETRY_AFTER: &str = "retry-after";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Handling;
    use crate::stats::Reason;

    /// One endpoint of two.
    fn world() -> (EndpointStats, PortStats) {
        let (endpoint, other, port) =
            (EndpointStats::default(), EndpointStats::default(), PortStats::default());
        port.follow(&Handling::default(), [&endpoint, &other].into_iter(), at(0));
        (endpoint, port)
    }

    fn at(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    /// What follows from an answer with these headers, 7 ms after the request.
    fn hears(
        (endpoint, port): &(EndpointStats, PortStats),
        probe: Option<Probe>,
        (status, is_grpc): (u16, bool),
        fields: &[(&str, &'static str)],
    ) -> Heard {
        let of = Subject { endpoint, port };
        let mut attempt = Attempt::begin(endpoint, probe, at(100));
        let field =
            |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes());
        let heard = attempt.hears(AnswerHead { status, is_grpc, field }, of, || 0, at(107), || 0);
        attempt.end(of, || (at(107), 0));
        heard
    }

    #[test]
    fn an_answer_says_how_fast_an_endpoint_is_if_it_is_a_good_one() {
        for (answer, fields, counts) in [
            ((200, false), &[][..], true),
            ((404, false), &[], true),
            ((200, false), &[("grpc-status", "13")], true), // nobody has asked by gRPC
            ((200, true), &[], true),
            ((200, true), &[("grpc-status", "0")], true),
            ((200, true), &[("grpc-status", "13")], false),
            ((200, true), &[("grpc-status", "8")], false),
            ((429, false), &[], false),
            ((503, false), &[], false),
        ] {
            let world = world();
            let _heard = hears(&world, None, answer, fields);
            let is_known = world.0.latency.reading() != EndpointStats::default().latency.reading();
            assert_eq!(is_known, counts, "{answer:?} {fields:?}");
            assert_eq!(world.0.load.active(), 0);
        }
    }

    #[test]
    fn five_failures_in_a_row_eject_whether_http_or_grpc_says_so() {
        for (answer, fields) in [((500, false), &[][..]), ((200, true), &[("grpc-status", "14")])] {
            let world = world();
            let changes: [_; 5] = core::array::from_fn(|_| hears(&world, None, answer, fields).change);
            assert_eq!(changes[..4], [None; 4]);
            let ejected =
                |change| matches!(change, Some(EjectionChange::Ejected { reason: Reason::Consecutive, .. }));
            assert!(ejected(changes[4]), "{changes:?}");
        }
    }

    #[test]
    fn nothing_is_held_against_an_endpoint_that_has_not_had_all_of_the_request() {
        for (answer, fields) in [((500, false), &[][..]), ((200, true), &[("grpc-status", "14")])] {
            let (endpoint, port) = world();
            let of = Subject { endpoint: &endpoint, port: &port };
            let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|_| &b"14"[..]);
            for _ in 0..20 {
                let mut attempt = Attempt::begin(&endpoint, None, at(100));
                attempt.has_had(None);
                let head = AnswerHead { status: answer.0, is_grpc: answer.1, field };
                assert_eq!(attempt.hears(head, of, || 0, at(107), || 0).change, None);
                attempt.end(of, || (at(107), 0));
            }
            assert!(!endpoint.is_out());
        }
    }

    #[test]
    fn an_answer_takes_as_long_as_its_endpoint_has_had_the_request() {
        let reading = |whole: Option<Now>| {
            let (endpoint, port) = world();
            let of = Subject { endpoint: &endpoint, port: &port };
            let mut attempt = Attempt::begin(&endpoint, None, at(100));
            attempt.has_had(whole);
            let head = AnswerHead { status: 200, is_grpc: false, field: |_: &str| None };
            let _ = attempt.hears(head, of, || 0, at(9_000), || 0);
            attempt.end(of, || (at(9_000), 0));
            endpoint.latency.reading()
        };
        let quick = crate::stats::Latency::default();
        quick.observe(Duration::from_millis(5), at(9_000));
        assert_eq!(reading(Some(at(8_995))), quick.reading());
        assert_eq!(reading(None), crate::stats::Latency::default().reading(), "the answer came before it");
    }

    #[test]
    fn a_deadline_that_the_client_chose_says_nothing_of_the_endpoint() {
        for (chosen, out) in [(true, false), (false, true)] {
            let (endpoint, port) = world();
            let of = Subject { endpoint: &endpoint, port: &port };
            for _ in 0..5 {
                let mut attempt = Attempt::begin(&endpoint, None, at(100));
                if chosen {
                    attempt.heeds_client();
                }
                let _ = attempt.hears_grpc(|name| (name == GRPC_STATUS).then_some(b"4"), of, || (at(107), 0));
                attempt.end(of, || (at(107), 0));
            }
            assert_eq!(endpoint.is_out(), out);
        }
    }

    #[test]
    fn what_came_of_an_attempt_is_told_once_unless_more_is_asked() {
        let (endpoint, port) = world();
        let of = Subject { endpoint: &endpoint, port: &port };
        let mut attempt = Attempt::begin(&endpoint, None, at(0));
        (0..9).for_each(|_| assert_eq!(attempt.failed(of, || (at(1), 0)), None));
        for begun in 2..5 {
            attempt.ask_again(at(begun));
            assert_eq!(attempt.failed(of, || (at(begun), 0)), None);
        }
        attempt.ask_again(at(5));
        assert!(attempt.failed(of, || (at(5), 0)).is_some(), "the fifth");
        attempt.end(of, || (at(6), 0));
    }

    #[test]
    fn an_endpoint_is_spared_as_its_answer_asks() {
        let seconds = |answer, fields: &[_]| {
            let world = world();
            let heard = hears(&world, None, answer, fields);
            assert_eq!(heard.backoff.is_some(), world.0.share.at(at(107)) < crate::stats::FULL_SHARE);
            heard.backoff.map(|time| time.as_secs())
        };
        assert_eq!(seconds((429, false), &[]), Some(5));
        assert_eq!(seconds((503, false), &[("retry-after", "9")]), Some(9));
        assert_eq!(seconds((503, false), &[]), None);
        assert_eq!(
            seconds((200, true), &[("grpc-status", "8"), ("grpc-retry-pushback-ms", "3000")]),
            Some(3)
        );
        assert_eq!(seconds((200, false), &[("retry-after", "9")]), None);
    }

    #[test]
    fn a_probe_returns_an_endpoint_with_the_head_and_an_abandoned_one_does_not() {
        let world = world();
        let (endpoint, port) = &world;
        let of = Subject { endpoint, port };
        for _ in 0..5 {
            let _ejected_by_the_last = hears(&world, None, (500, false), &[]);
        }
        let due = at(2_000);
        let probe = endpoint.ejector.claim_probe(true, port, due);
        let mut gone = Attempt::begin(endpoint, probe, due);
        assert_eq!(gone.probe_begun(), Some(due));
        gone.end(of, || (due, 0));
        assert!(endpoint.is_out());
        let probe = endpoint.ejector.claim_probe(true, port, at(4_000));
        assert!(probe.is_some());
        assert_eq!(hears(&world, probe, (204, false), &[]).change, Some(EjectionChange::Returned));
        assert!(!endpoint.is_out());
    }

    #[test]
    fn a_half_closed_tunnel_is_taken_off_where_it_was_put() {
        let (endpoint, port) = world();
        let of = Subject { endpoint: &endpoint, port: &port };
        let mut attempt = Attempt::begin(&endpoint, None, at(0));
        (0..2).for_each(|_| attempt.half_closed(&endpoint));
        assert_eq!((endpoint.load.active(), endpoint.load.inactive()), (0, 1));
        attempt.end(of, || (at(1), 0));
        assert_eq!((endpoint.load.active(), endpoint.load.inactive()), (0, 0));
    }
}
