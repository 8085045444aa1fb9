//! A Service port, to a worker that has it alone.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{
    Affinity, AttemptHandle, BalancerState, EndpointRegistry, PortKey, gone, port_key, unavailable_reason,
};
use crate::affinity::Pins;
use crate::balance::{Ask, Choice, Member};
use crate::outcome::Failure;
use crate::service::{Policy, Service, Unit};
use crate::stats::PortStats;
use crate::table::Target;
use crate::time::Now;

/// One Service port across snapshots, to a worker that shares it with nobody.
#[derive(Debug)]
pub struct WorkerPort {
    /// What the rest follows.
    target: Arc<Target>,
    /// Which one that is, counted from 1.
    version: u64,
    members: Box<[Member]>,
    /// Attempts that go on when the port is gone have it too.
    stats: Arc<PortStats>,
    registry: EndpointRegistry,
    connections: BalancerState,
    requests: BalancerState,
    affinity: Option<(Affinity, Pins)>,
    pinning: Pinning,
}

/// How clients are pinned.
#[derive(Clone, Copy, Debug)]
pub struct Pinning {
    /// The most clients of a port; at least one. A pin is about 40 bytes.
    pub entries_max: usize,
    /// Nobody who chooses client addresses knows it.
    pub seed: u64,
}

impl WorkerPort {
    /// The port that `target` is, with nothing asked of it yet.
    pub fn new(target: &Arc<Target>, pinning: Pinning, now: Now) -> WorkerPort {
        let service = &target.service;
        let (stats, mut registry) = (Arc::<PortStats>::default(), EndpointRegistry::default());
        let members = registry.members(target, &stats, now);
        WorkerPort {
            affinity: Affinity::of(target, &members).map(|affinity| (affinity, pinning.none())),
            target: target.clone(),
            version: 1,
            members,
            stats,
            registry,
            connections: BalancerState::new(Policy::of(service, Unit::Connection)),
            requests: BalancerState::new(Policy::of(service, Unit::Request)),
            pinning,
        }
    }

    /// Follows the port to another snapshot. Costs nothing where it is as it was.
    pub fn follow(&mut self, target: &Arc<Target>, now: Now) {
        if Arc::ptr_eq(&self.target, target) {
            return;
        }
        self.members = self.registry.members(target, &self.stats, now);
        self.affinity = self.affinity_in(target);
        self.follow_policy(&target.service);
        self.target = target.clone();
        self.version += 1;
    }

    /// Pins stay, but those to endpoints that are gone.
    fn affinity_in(&mut self, target: &Target) -> Option<(Affinity, Pins)> {
        let affinity = Affinity::of(target, &self.members)?;
        let Some((_, mut pins)) = self.affinity.take() else { return Some((affinity, self.pinning.none())) };
        let gone = gone(&self.target, target);
        if !gone.is_empty() {
            pins.forget(|id| gone.contains(&id));
        }
        Some((affinity, pins))
    }

    fn follow_policy(&mut self, service: &Service) {
        self.connections.follow(Policy::of(service, Unit::Connection));
        self.requests.follow(Policy::of(service, Unit::Request));
    }

    /// The member to use next: the one that the client is pinned to, else the one whose turn it is. Only the latter takes a draw, from all
    /// of `u64`: who draws from one seed draws the same, whatever it shares.
    ///
    /// # Errors
    /// Why there is none: what the target says of that, else [`Failure::TooManyConnections`] or [`Failure::NoEndpoints`].
    pub fn choose(
        &mut self,
        unit: Unit,
        ask: &Ask<'_>,
        now: Now,
        draw: impl FnOnce() -> u64,
    ) -> Result<Choice, Failure> {
        let WorkerPort { members, stats, version, affinity, .. } = self;
        let balancer = match unit {
            Unit::Connection => &mut self.connections,
            Unit::Request => &mut self.requests,
        };
        let choose = || balancer.choose((*version, members), ask, stats, now, draw());
        let choice = match affinity {
            None => choose(),
            Some((affinity, pins)) => {
                affinity.choose(pins, members, ask, stats, choose, now).map(|(choice, _)| choice)
            }
        };
        choice.ok_or_else(|| self.failure())
    }

    fn failure(&self) -> Failure {
        let known = self.target.failure.filter(|_| !self.target.is_settled());
        known.unwrap_or_else(|| unavailable_reason(&self.members, &self.stats))
    }

    /// Begins an attempt at the member that was chosen just now.
    pub fn begin(&self, Choice { index, probe }: Choice, now: Now) -> AttemptHandle {
        AttemptHandle::begin(&self.members[index], &self.stats, probe, now)
    }

    /// Looks at the next `steps` pins, and lets go of those that are over.
    pub fn sweep(&mut self, steps: usize, now: Now) {
        if let Some((affinity, pins)) = &mut self.affinity {
            pins.sweep(steps, affinity.timeout(), now);
        }
    }

    /// How many clients are pinned.
    pub fn pinned(&self) -> usize {
        self.affinity.as_ref().map_or(0, |(_, pins)| pins.len())
    }

    /// What it is called.
    pub fn key(&self) -> PortKey {
        port_key(&self.target)
    }

    /// Where it is in the snapshot that it has followed last.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Those that may be used, in the order of their addresses.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is known of its endpoints together.
    pub fn stats(&self) -> &PortStats {
        &self.stats
    }

    /// What is known of each endpoint.
    pub fn registry(&self) -> &EndpointRegistry {
        &self.registry
    }
}

impl Pinning {
    fn none(self) -> Pins {
        Pins::new(self.entries_max, self.seed)
    }
}
