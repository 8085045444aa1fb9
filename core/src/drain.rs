//! Draining: how long connections to an endpoint are kept once it has left (S-22).

use core::time::Duration;

use crate::service::Service;
use crate::time::Now;

/// Whether an endpoint has left its Service, and since when. It has left while new connections and requests may not go to it: it is
/// gone, or not ready, or about to go and others are ready; whatever [`usable`](crate::endpoints::EndpointSet::usable) leaves out.
///
/// An endpoint that comes back has not left: its connections have no deadline any more, and a new one when it leaves again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draining {
    since: Option<Now>,
    keep: Option<Duration>,
}

impl Draining {
    /// Takes note of what a snapshot says: whether the endpoint is usable, and the Service that it belongs, or belonged, to. While there
    /// is no such Service, what it said last holds.
    pub fn observe(&mut self, usable: bool, service: Option<&Service>, now: Now) {
        if let Some(service) = service {
            self.keep = service.handling.drain;
        }
        self.since = match self.since {
            _ if usable => None,
            Some(since) => Some(since),
            None => Some(now),
        };
    }

    /// Whether it has been gone for longer than its connections are kept. Never where the Service does not say how long.
    pub fn is_over(&self, now: Now) -> bool {
        match (self.since, self.keep) {
            (Some(since), Some(keep)) => now.since(since) >= keep,
            (None, _) | (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// What one snapshot says, and when.
    #[derive(Clone, Debug)]
    struct Said {
        at_ms: u64,
        usable: bool,
        /// `None`: there is no such Service.
        keep: Option<Option<Duration>>,
    }

    fn ms(ms: u64) -> Now {
        Now(Duration::from_millis(ms))
    }

    fn service(drain: Option<Duration>) -> Service {
        let mut service = crate::samples::service("shop", "web");
        service.handling.drain = drain;
        service
    }

    fn observe(draining: &mut Draining, said: &Said) {
        let service = said.keep.map(service);
        draining.observe(said.usable, service.as_ref(), ms(said.at_ms));
    }

    /// The slow way: looks at all that was ever said.
    fn model(history: &[Said], at_ms: u64) -> bool {
        let Some(keep) = history.iter().rev().find_map(|said| said.keep).flatten() else { return false };
        let gone = history.iter().rev().take_while(|said| !said.usable);
        gone.last().is_some_and(|first| at_ms.saturating_sub(first.at_ms) >= keep.as_millis() as u64)
    }

    proptest! {
        #[test]
        fn a_drain_remembers_what_matters_of_its_history(
            steps in prop::collection::vec(
                (0_u64..2000, any::<bool>(), prop::option::of(prop::option::of(0_u64..3000))),
                0..12,
            ),
            later_ms in 0_u64..4000,
        ) {
            let mut draining = Draining::default();
            let mut history: Vec<Said> = Vec::new();
            let mut at_ms = 0;
            for (after_ms, usable, keep_ms) in steps {
                at_ms += after_ms;
                prop_assert_eq!(draining.is_over(ms(at_ms)), model(&history, at_ms));
                let keep = keep_ms.map(|keep| keep.map(Duration::from_millis));
                history.push(Said { at_ms, usable, keep });
                observe(&mut draining, history.last().expect("it was pushed"));
            }
            at_ms += later_ms;
            prop_assert_eq!(draining.is_over(ms(at_ms)), model(&history, at_ms));
        }
    }

    #[test]
    fn the_time_runs_from_the_moment_it_left() {
        let mut draining = Draining::default();
        for (at_ms, usable) in [(0, true), (500, false), (900, false)] {
            observe(&mut draining, &Said { at_ms, usable, keep: Some(Some(Duration::from_secs(1))) });
        }
        assert!(!draining.is_over(ms(1499)));
        assert!(draining.is_over(ms(1500)));
    }

    #[test]
    fn a_service_that_disappears_is_remembered() {
        let mut draining = Draining::default();
        observe(&mut draining, &Said { at_ms: 0, usable: true, keep: Some(Some(Duration::from_secs(1))) });
        observe(&mut draining, &Said { at_ms: 10, usable: false, keep: None });
        assert!(draining.is_over(ms(1010)));
    }
}
