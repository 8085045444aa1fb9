//! All Service ports that one worker has used, by name.

use alloc::sync::Arc;
use core::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Pinning, WorkerPort, target};
use crate::address::{ServiceName, Transport};
use crate::table::{Table, Target};
use crate::time::Now;

/// The Service ports that a worker has used, and that the snapshot still has.
#[derive(Debug)]
pub struct WorkerPorts {
    by_name: HashTable<WorkerPort>,
    pinning: Pinning,
}

impl WorkerPorts {
    /// None yet; each of them will pin clients so.
    pub fn new(pinning: Pinning) -> WorkerPorts {
        WorkerPorts { by_name: HashTable::new(), pinning }
    }

    /// The port that `target` is in the snapshot in force. It allocates nothing where the port was used before and is as it was.
    pub fn of(&mut self, target: &Arc<Target>, now: Now) -> &mut WorkerPort {
        let is_same = |port: &WorkerPort| name(port.target()) == name(target);
        match self.by_name.entry(hash(target), is_same, |port| hash(port.target())) {
            Entry::Occupied(known) => {
                let port = known.into_mut();
                port.follow(target, now);
                port
            }
            Entry::Vacant(vacant) => vacant.insert(WorkerPort::new(target, self.pinning, now)).into_mut(),
        }
    }

    /// Follows another snapshot: lets go of the ports that it does not have, and of the endpoints that those it has do not have.
    /// Costs as much as is used, whatever the size of the snapshot.
    pub fn follow(&mut self, table: &Table, now: Now) {
        self.by_name.retain(|port| {
            let target = target(&port.key(), table);
            if let Some(target) = target {
                port.follow(target, now);
            }
            target.is_some()
        });
        if self.by_name.capacity() > self.by_name.len() * SPARE_MAX + SPARE_MAX {
            self.by_name.shrink_to_fit(|port| hash(port.target()));
        }
    }

    /// Lets go of some of the pins that are over: looks at `steps` of each port.
    pub fn sweep(&mut self, steps: usize, now: Now) {
        self.by_name.iter_mut().for_each(|port| port.sweep(steps, now));
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &WorkerPort> {
        self.by_name.iter()
    }
}

fn name(target: &Target) -> (&ServiceName, u16, Transport) {
    (&target.service.name, target.port.port, target.port.transport)
}

fn hash(target: &Target) -> u64 {
    FixedState::default().hash_one(name(target))
}

/// How many times more room than ports there may be: a crowd that has gone gives its room back, and a few that come and go keep it.
const SPARE_MAX: usize = 4;

#[cfg(test)]
mod tests;
