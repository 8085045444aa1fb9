//! How many may be connected, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The seats that are taken, by peer.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<HashMap<IpAddr, usize>>);

/// One connection's; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    peer: IpAddr,
}

impl Seats {
    /// A seat for `peer`, unless all are taken, or it has enough already: one that hoards connections must
    /// not make the kubelet's probes fail.
    pub(super) fn take(self: &Arc<Seats>, peer: IpAddr) -> Option<Seat> {
        let mut taken = self.taken();
        let in_all: usize = taken.values().sum();
        let of_peer = taken.get(&peer).copied().unwrap_or(0);
        let is_free = in_all < CONNECTIONS_MAX && of_peer < CONNECTIONS_PER_PEER_MAX;
        is_free.then(|| {
            taken.insert(peer, of_peer + 1);
            Seat { seats: self.clone(), peer }
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // no change to it can stop half-way
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.entry(self.peer).and_modify(|count| *count -= 1);
        taken.retain(|_, count| *count > 0);
    }
}

/// The kubelet, Prometheus, some people, and their tools. 64 × (16 KiB in + 256 KiB out) = 17 MiB at worst.
const CONNECTIONS_MAX: usize = 64;

/// Of four peers that want them all, none can have them all.
pub(super) const CONNECTIONS_PER_PEER_MAX: usize = CONNECTIONS_MAX / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_peer_has_a_quarter_of_the_seats_and_all_peers_have_them_all() {
        let seats = Arc::new(Seats::default());
        let taken: Vec<Seat> = (0..255).flat_map(|index| seats.take(peer(index / 40))).collect();
        let of = |last| taken.iter().filter(|seat| seat.peer == peer(last)).count();
        assert_eq!([of(0), of(1), of(2), of(3), of(4)], [16, 16, 16, 16, 0]);
    }

    #[test]
    fn a_seat_that_is_left_is_free_and_forgotten() {
        let seats = Arc::new(Seats::default());
        let mut taken: Vec<Seat> = (0..CONNECTIONS_PER_PEER_MAX).flat_map(|_| seats.take(peer(1))).collect();
        assert!(seats.take(peer(1)).is_none());
        taken.pop();
        assert!(seats.take(peer(1)).is_some());
        drop(taken);
        assert!(seats.taken().is_empty(), "peers are forgotten");
    }
}
