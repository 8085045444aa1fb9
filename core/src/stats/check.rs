//! Whether an endpoint is healthy, by what became of the checks that its Service asks for (S-23).

use crate::service::HealthCheck;

/// One endpoint's record. It is healthy until it has failed often enough: it would not be asked if it were not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkup {
    is_ill: bool,
    /// How many checks in a row say otherwise.
    contrary: u8,
}

impl Checkup {
    /// Takes note of one check. Whether the endpoint is healthy, where that has changed.
    pub fn note(&mut self, passed: bool, check: &HealthCheck) -> Option<bool> {
        if passed != self.is_ill {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let enough = if passed { check.healthy } else { check.unhealthy };
        if self.contrary < enough {
            return None;
        }
        *self = Checkup { is_ill: !passed, contrary: 0 };
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// By definition: it changes when the last checks since the last change, as many as are asked for, all say otherwise.
        #[test]
        fn an_endpoint_changes_when_enough_checks_in_a_row_say_so(
            passed in proptest::collection::vec(any::<bool>(), 0..200),
            (healthy, unhealthy) in (2..=10_u8, 2..=10_u8),
        ) {
            let check = HealthCheck { healthy, unhealthy, ..HealthCheck::default() };
            let (mut checkup, mut is_healthy, mut since) = (Checkup::default(), true, Vec::new());
            for passed in passed {
                since.push(passed);
                let enough = usize::from(if is_healthy { unhealthy } else { healthy });
                let contrary = since.iter().rev().take_while(|passed| **passed != is_healthy).count();
                let changes = (contrary >= enough).then_some(!is_healthy);
                prop_assert_eq!(checkup.note(passed, &check), changes);
                if changes.is_some() {
                    is_healthy = !is_healthy;
                    since.clear();
                }
            }
        }
    }
}
