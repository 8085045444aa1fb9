//! The choice itself: the policy's, among those that are well.

use super::eligibility::EligibilityFilter;
use super::{Ask, Balancer, Member};
use crate::stats::{PortStats, Probe};
use crate::time::Now;

/// Who gets the next connection or request.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Choice {
    /// Among the members.
    pub index: usize,
    /// This one shall find out whether an ejected endpoint is well again.
    pub probe: Option<Probe>,
}

impl Balancer {
    /// The member to use next, or `None` when there is none left to try, or no attempt.
    ///
    /// As [`Balancer::pick`], but that whoever is out is passed over, and by chance who has less than its share; but policies that hash
    /// keep to what they hashed, for a client's connections belong together. Who is due for a probe gets it, whatever the policy: `p2c` would not
    /// go there, and a hash never does. Where all that are not out have been tried, or all are out, the others are used: an endpoint that
    /// probably fails is better than an answer that certainly does. Nobody gets more than the Service's `max-connections`; workers that
    /// choose at the same moment may each add one.
    pub fn choose(
        &mut self,
        members: &[Member],
        ask: &Ask<'_>,
        port: &PortStats,
        now: Now,
        draw: u64,
    ) -> Option<Choice> {
        if port.is_quiet() {
            return self.pick(members, ask, now, draw).map(Choice::of);
        }
        if let Some(probe) = probe(members, ask, port, now) {
            return Some(probe);
        }
        port.settle(now);
        let hashes = self.policy().hashes();
        let active_max = port.active_max();
        let mut pick = |filter| self.pick_with(Some(filter), members, ask, draw);
        let index = match hashes {
            true => None,
            false => pick(EligibilityFilter::Share { active_max, now, draw }),
        };
        let index = index.or_else(|| pick(EligibilityFilter::Out { active_max }));
        index.or_else(|| pick(EligibilityFilter::Full { active_max })).map(Choice::of)
    }
}

impl Ask<'_> {
    /// The member at `index` once more, for a client that is pinned to it; `None` when it may not be picked, has all that it may have at
    /// once, or is out while another is not. Where all that are not out have been tried, or all are out, a client stays where it is. It
    /// leaves a member that is in only because too many are out: somebody has to find that one of those is well again.
    pub fn stay(&self, members: &[Member], index: usize, port: &PortStats) -> Option<Choice> {
        let may_try = !self.tried.is_full();
        let admits = |member: &Member| may_try && self.admits(member) && !port.is_full(&member.stats);
        let is_in = |member: &Member| admits(member) && !member.stats.is_out();
        let member = &members[index];
        let stays = match member.stats.is_out() {
            true => admits(member) && !members.iter().any(is_in),
            false => admits(member) && !member.stats.ejector.is_failing(port),
        };
        stays.then(|| Choice::of(index))
    }
}

impl Choice {
    fn of(index: usize) -> Choice {
        Choice { index, probe: None }
    }
}

/// The first member that is due for a probe which this request may be.
fn probe(members: &[Member], ask: &Ask<'_>, port: &PortStats, now: Now) -> Option<Choice> {
    if !port.is_time_to_look(now) || ask.tried.is_full() {
        return None;
    }
    let mut soonest_ms = u64::MAX;
    for (index, member) in members.iter().enumerate() {
        let ejector = &member.stats.ejector;
        // Whoever fails its check would only fail the probe.
        if ask.admits(member)
            && !member.stats.is_failing_check()
            && !port.is_full(&member.stats)
            && let Some(probe) = ejector.claim_probe(ask.replayable, port, now)
        {
            return Some(Choice { index, probe: Some(probe) });
        }
        soonest_ms = soonest_ms.min(ejector.due_ms());
    }
    port.looked(soonest_ms, now);
    None
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;
    use crate::balance::Tried;
    use crate::balance::tests::{CALLER, even_draws, group};
    use crate::endpoints::EndpointId;
    use crate::service::{Handling, Policy};

    /// Four members, two of which have failed at the very beginning.
    fn half_out() -> (PortStats, Vec<Member>) {
        let (port, members) = (PortStats::default(), group([1, 2, 3, 4]));
        let now = Now::default();
        port.follow(&Handling::default(), members.iter().map(|member| &*member.stats), now);
        for member in &members[..2] {
            (0..5).for_each(|_| {
                let _ = member.stats.ejector.failed(now, &port, now, 0);
            });
        }
        assert_eq!(port.ejected(), 2);
        (port, members)
    }

    fn choose(
        balancer: &mut Balancer,
        (port, members): &(PortStats, Vec<Member>),
        tried: &[usize],
        (now_ms, draw): (u64, u64),
    ) -> Option<(usize, bool)> {
        balancer.meet(members);
        let mut failed = Tried::NONE;
        tried.iter().for_each(|index| failed.insert(members[*index].id));
        let ask = Ask { caller: CALLER, tried: &failed, replayable: true };
        let choice = balancer.choose(members, &ask, port, Now(Duration::from_millis(now_ms)), draw)?;
        Some((choice.index, choice.probe.is_some()))
    }

    #[test]
    fn no_policy_chooses_who_is_out() {
        for policy in Policy::ALL {
            let (world, mut balancer) = (half_out(), Balancer::new(policy));
            for draw in even_draws(50) {
                let (index, probe) = choose(&mut balancer, &world, &[], (0, draw)).unwrap();
                assert!(index >= 2 && !probe, "{policy:?} chose {index}");
            }
        }
    }

    #[test]
    fn who_is_out_is_used_when_nobody_else_is_left() {
        for policy in Policy::ALL {
            let (world, mut balancer) = (half_out(), Balancer::new(policy));
            let choice = choose(&mut balancer, &world, &[2, 3], (0, 7));
            assert!(matches!(choice, Some((0 | 1, false))), "{policy:?} {choice:?}");
            assert_eq!(choose(&mut balancer, &world, &[0, 1, 2, 3], (0, 7)), None, "{policy:?}");
        }
    }

    #[test]
    fn a_client_leaves_who_is_out_only_for_who_is_well() {
        let (port, mut members) = half_out();
        members[3].weight = 0;
        let stays = |tried: &[usize], index: usize| {
            let mut failed = Tried::NONE;
            tried.iter().for_each(|index| failed.insert(members[*index].id));
            let ask = Ask { caller: CALLER, tried: &failed, replayable: true };
            ask.stay(&members, index, &port).is_some()
        };
        assert_eq!([0, 1, 2, 3].map(|index| stays(&[], index)), [false, false, true, false]);
        assert_eq!([0, 1, 2, 3].map(|index| stays(&[2], index)), [true, true, false, false]);
        assert_eq!([0, 1, 2, 3].map(|index| stays(&[0, 2], index)), [false, true, false, false]);
        let mut full = Tried::NONE;
        (100..200).for_each(|id| full.insert(EndpointId(id)));
        assert_eq!(Ask { caller: CALLER, tried: &full, replayable: true }.stay(&members, 2, &port), None);
    }

    #[test]
    fn a_client_leaves_who_has_all_that_it_may_have() {
        let (port, members) = (PortStats::default(), group([1, 2]));
        let limited = Handling { max_connections: Some(1), ..Handling::default() };
        port.follow(&limited, members.iter().map(|member| &*member.stats), Now::default());
        let ask = Ask { caller: CALLER, tried: &Tried::NONE, replayable: true };
        assert!(ask.stay(&members, 0, &port).is_some());
        members[0].stats.load.begin();
        assert_eq!(ask.stay(&members, 0, &port), None);
    }

    #[test]
    fn a_client_leaves_who_fails_though_half_are_out_already() {
        let (port, members) = half_out();
        let ask = Ask { caller: CALLER, tried: &Tried::NONE, replayable: true };
        let fail = || {
            let _ = members[2].stats.ejector.failed(Now::default(), &port, Now::default(), 0);
        };
        (0..4).for_each(|_| fail());
        assert!(ask.stay(&members, 2, &port).is_some());
        fail();
        assert!(!members[2].stats.is_out(), "there is no room");
        assert_eq!(ask.stay(&members, 2, &port), None);
        members[2].stats.ejector.succeeded(&port, Now::default());
        assert!(ask.stay(&members, 2, &port).is_some());
    }

    #[test]
    fn whoever_is_due_gets_one_request_whatever_the_policy() {
        for policy in Policy::ALL {
            let (world, mut balancer) = (half_out(), Balancer::new(policy));
            let mut choices =
                even_draws(4).map(|draw| choose(&mut balancer, &world, &[], (1_000, draw)).unwrap());
            assert_eq!(choices.next(), Some((0, true)), "{policy:?}");
            assert_eq!(choices.next(), Some((1, true)), "{policy:?}");
            assert!(choices.all(|(index, probe)| index >= 2 && !probe), "{policy:?}");
        }
    }

    #[test]
    fn who_fails_its_check_is_passed_over_until_all_do() {
        for policy in Policy::ALL {
            let (world, mut balancer) = ((PortStats::default(), group([1, 2, 3, 4])), Balancer::new(policy));
            world.1[1..].iter().for_each(|member| member.stats.fails_check(&world.0));
            for draw in even_draws(20) {
                assert_eq!(choose(&mut balancer, &world, &[], (0, draw)), Some((0, false)), "{policy:?}");
            }
            world.1[0].stats.fails_check(&world.0);
            assert!(choose(&mut balancer, &world, &[], (0, 7)).is_some(), "{policy:?}");
            world.1.iter().for_each(|member| member.stats.passes_check(&world.0));
            assert!(world.0.is_quiet());
        }
    }

    #[test]
    fn nobody_gets_more_than_it_may_have_at_once() {
        for policy in Policy::ALL {
            let (world, mut balancer) = ((PortStats::default(), group([1, 2, 3])), Balancer::new(policy));
            let limited = Handling { max_connections: Some(2), ..Handling::default() };
            world.0.follow(&limited, world.1.iter().map(|member| &*member.stats), Now::default());
            for draw in even_draws(6) {
                let (index, _) = choose(&mut balancer, &world, &[], (0, draw)).unwrap();
                world.1[index].stats.load.begin();
            }
            assert!(world.1.iter().all(|member| member.stats.load.active() == 2), "{policy:?}");
            assert_eq!(choose(&mut balancer, &world, &[], (0, 7)), None, "{policy:?}");
            world.1[1].stats.load.end();
            assert_eq!(choose(&mut balancer, &world, &[], (0, 7)), Some((1, false)), "{policy:?}");
            world.0.follow(&Handling::default(), world.1.iter().map(|member| &*member.stats), Now::default());
            assert!(world.0.is_quiet() && choose(&mut balancer, &world, &[], (0, 7)).is_some());
        }
    }

    #[test]
    fn who_fails_its_check_is_not_probed() {
        let (world, mut balancer) = (half_out(), Balancer::new(Policy::RoundRobin));
        world.1[0].stats.fails_check(&world.0);
        assert_eq!(choose(&mut balancer, &world, &[], (1_000, 0)), Some((1, true)));
        let late = choose(&mut balancer, &world, &[], (30_000, 0)).unwrap();
        assert!(late.0 >= 1, "{late:?}");
    }

    #[test]
    fn a_request_is_no_probe_where_it_has_failed_before() {
        let (world, mut balancer) = (half_out(), Balancer::new(Policy::RoundRobin));
        assert_eq!(choose(&mut balancer, &world, &[0], (1_000, 0)), Some((1, true)));
        assert_eq!(choose(&mut balancer, &world, &[], (1_000, 0)), Some((0, true)));
    }

    #[test]
    fn who_has_a_small_share_gets_little_where_nothing_is_hashed() {
        for policy in Policy::ALL {
            let (world, mut balancer) = ((PortStats::default(), group([1, 2, 3, 4])), Balancer::new(policy));
            world.1[0].stats.share.back_off(Duration::from_secs(60), &world.0, Now::default());
            let choices =
                even_draws(800).map(|draw| choose(&mut balancer, &world, &[], (0, draw)).unwrap().0);
            let count = choices.filter(|index| *index == 0).count();
            // By turns or by chance it would be 200; who looks at connections always takes the first here, which is 800.
            let expected = if policy.hashes() { [0..=0, 800..=800] } else { [10..=50, 70..=130] };
            assert!(expected.iter().any(|range| range.contains(&count)), "{policy:?}: {count}");
            assert_eq!(choose(&mut balancer, &world, &[1, 2, 3], (0, 7)), Some((0, false)), "{policy:?}");
        }
    }

    #[test]
    fn an_ejection_that_a_look_missed_is_found_soon() {
        let (world, mut balancer) = (half_out(), Balancer::new(Policy::RoundRobin));
        world.0.looked(u64::MAX, Now::default()); // as if another worker had looked as they were ejected
        let due = (0..2_000).find(|ms| choose(&mut balancer, &world, &[], (*ms, 0)).unwrap().1);
        assert!(due.is_some_and(|ms| (1_000..=1_000 + LATE_MS_MAX).contains(&ms)), "{due:?}");
    }

    const LATE_MS_MAX: u64 = 100;
}
