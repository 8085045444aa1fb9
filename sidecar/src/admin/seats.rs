//! How many may be connected, in all and from one address, and who gives way when all seats are taken.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::sync::lock;

/// The seats that are taken, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    seats: BTreeMap<u64, Sitter>,
    next: u64,
}

#[derive(Debug)]
struct Sitter {
    peer: IpAddr,
    /// Its request has come.
    spoke: bool,
    lost: Arc<Notify>,
}

/// One connection's; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    lost: Arc<Notify>,
}

impl Seats {
    /// A seat for `peer`, unless it has enough already: one that hoards connections must not make the kubelet's probes fail. When all seats
    /// are taken, somebody gives way to a peer that has fewer: of those with the most seats first who has said nothing yet, then who came first.
    pub(super) fn take(self: &Arc<Seats>, peer: IpAddr) -> Option<Seat> {
        let peer = network(peer);
        let mut taken = self.taken();
        let of_peer = taken.of(peer);
        if of_peer >= CONNECTIONS_PER_PEER_MAX {
            return None;
        }
        if taken.seats.len() >= CONNECTIONS_MAX {
            taken.make_room(of_peer)?;
        }
        let (number, lost) = (taken.next, Arc::new(Notify::new()));
        taken.next += 1;
        taken.seats.insert(number, Sitter { peer, spoke: false, lost: lost.clone() });
        Some(Seat { seats: self.clone(), number, lost })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        lock(&self.0)
    }
}

impl Taken {
    fn of(&self, peer: IpAddr) -> usize {
        self.seats.values().filter(|sitter| sitter.peer == peer).count()
    }

    /// Takes a seat from a peer that would not have fewer than one with `of_newcomer` and one more. Where each peer has one, only who says
    /// nothing gives way: a request that has come is answered.
    fn make_room(&mut self, of_newcomer: usize) -> Option<()> {
        let rank = |(number, sitter): (&u64, &Sitter)| {
            (self.of(sitter.peer), !sitter.spoke, std::cmp::Reverse(*number))
        };
        let (count, is_silent, std::cmp::Reverse(number)) = self.seats.iter().map(rank).max()?;
        let gives_way = count > of_newcomer + 1 || (count == of_newcomer + 1 && is_silent);
        let sitter = if gives_way { self.seats.remove(&number) } else { None };
        sitter.map(|sitter| sitter.lost.notify_one())
    }
}

impl Seat {
    /// Its peer has said what it wants.
    pub(super) fn speaks(&self) {
        if let Some(sitter) = self.seats.taken().seats.get_mut(&self.number) {
            sitter.spoke = true;
        }
    }

    /// Waits until somebody else has it.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().seats.remove(&self.number);
    }
}

/// Whoever has an address of IPv6 has all of its /64: it is one peer.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// The kubelet, Prometheus, some people, and their tools. 64 × (16 KiB in + 256 KiB out) = 17 MiB at worst.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// Of four peers that want them all, none can have them all.
pub(super) const CONNECTIONS_PER_PEER_MAX: usize = CONNECTIONS_MAX / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    /// How many of `seats` still stand, by peer.
    fn of(seats: &Arc<Seats>, last: u8) -> usize {
        seats.taken().of(peer(last))
    }

    #[test]
    fn one_peer_has_a_quarter_of_the_seats() {
        let seats = Arc::new(Seats::default());
        let taken: Vec<Seat> = (0..40).flat_map(|_| seats.take(peer(1))).collect();
        assert_eq!(taken.len(), CONNECTIONS_PER_PEER_MAX);
    }

    #[test]
    fn a_fifth_peer_is_served_while_four_hold_every_seat() {
        for speak in [false, true] {
            let seats = Arc::new(Seats::default());
            let taken: Vec<Seat> =
                (0..4).flat_map(|last| [peer(last); 16]).flat_map(|peer| seats.take(peer)).collect();
            assert_eq!(taken.len(), CONNECTIONS_MAX);
            taken.iter().filter(|_| speak).for_each(Seat::speaks);
            let fifth: Vec<Seat> = (0..16).flat_map(|_| seats.take(peer(9))).collect();
            let fairly = [of(&seats, 0), of(&seats, 1), of(&seats, 2), of(&seats, 3), of(&seats, 9)];
            assert!(fairly.iter().all(|count| (12..=13).contains(count)), "{fairly:?}");
            assert_eq!(fifth.len(), of(&seats, 9));
        }
    }

    #[tokio::test]
    async fn who_has_said_nothing_gives_way_first_and_hears_of_it() {
        let seats = Arc::new(Seats::default());
        let taken: Vec<Seat> = (0..64).flat_map(|last| seats.take(peer(last))).collect();
        taken.iter().filter(|seat| seat.number != 40).for_each(Seat::speaks);
        let _newcomer = seats.take(peer(100)).expect("somebody gives way");
        taken[40].lost().await;
        assert_eq!(of(&seats, 40), 0);
        let _next = seats.take(peer(101)).expect("the newcomer has said nothing either");
        assert_eq!(of(&seats, 100), 0);
    }

    #[test]
    fn nobody_gives_way_who_has_asked_and_has_no_more_than_the_newcomer() {
        let seats = Arc::new(Seats::default());
        let taken: Vec<Seat> = (0..64).flat_map(|last| seats.take(peer(last))).collect();
        taken.iter().for_each(Seat::speaks);
        assert!(seats.take(peer(100)).is_none());
    }

    #[test]
    fn a_seat_that_is_left_is_free_and_forgotten() {
        let seats = Arc::new(Seats::default());
        let mut taken: Vec<Seat> = (0..CONNECTIONS_PER_PEER_MAX).flat_map(|_| seats.take(peer(1))).collect();
        assert!(seats.take(peer(1)).is_none());
        taken.pop();
        assert!(seats.take(peer(1)).is_some());
        drop(taken);
        assert!(seats.taken().seats.is_empty(), "peers are forgotten");
    }

    #[test]
    fn all_addresses_of_a_subnet_of_ipv6_are_one_peer() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
