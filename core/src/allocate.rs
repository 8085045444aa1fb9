//! Which Service holds which address (S-28).
//!
//! A Service without an address gets one that follows from its name, so that the same objects get the same addresses
//! after a restart: the hash of `namespace/name` says where in the range to begin, and the first free address from there on is
//! taken. That holds when explicit addresses are claimed first and the others allocated in name order. As long as the process lives,
//! an address stays with its Service, whatever else comes.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::address::ServiceName;
use crate::hash::HashMap;

/// Gives out the addresses of some ranges, and remembers who holds which, inside them or not.
#[derive(Clone, Debug)]
pub struct Allocator {
    ranges: Vec<Range>,
    holders: HashMap<IpAddr, ServiceName>,
    held: HashMap<ServiceName, Vec<IpAddr>>,
}

impl Allocator {
    /// Gives every Service one address of each range. An address that is its network's first, second (by convention that of
    /// the Service `kubernetes`) or last (broadcast) is never given out, but may be claimed.
    pub fn new(ranges: impl IntoIterator<Item = IpNet>) -> Allocator {
        let ranges = ranges.into_iter().map(Range::new).collect();
        Allocator { ranges, holders: HashMap::default(), held: HashMap::default() }
    }

    /// Makes exactly `wanted` the addresses of a Service; those it held besides are free again. It keeps what it held when it
    /// cannot have all of them.
    ///
    /// # Errors
    /// Another Service holds one: whoever comes first keeps it, as with the API server.
    pub fn claim(&mut self, name: &ServiceName, wanted: &[IpAddr]) -> Result<(), AllocationError> {
        for &address in wanted {
            if let Some(holder) = self.holders.get(&address).filter(|&holder| holder != name) {
                return Err(AllocationError::Taken { address, holder: holder.clone() });
            }
        }
        self.release(name);
        self.hold(name, wanted.to_vec());
        Ok(())
    }

    /// The addresses of a Service that does not ask for any: what it holds, else one from each range.
    ///
    /// # Errors
    /// A range has none left.
    pub fn allocate(&mut self, name: &ServiceName) -> Result<&[IpAddr], AllocationError> {
        if !self.held.contains_key(name) {
            let start = hash(name);
            let found: Result<Vec<_>, _> =
                self.ranges.iter_mut().map(|range| range.find(start, &self.holders)).collect();
            self.hold(name, found?);
        }
        Ok(self.held(name))
    }

    /// Forgets a Service; its addresses are free again. Says whether it had any.
    pub fn release(&mut self, name: &ServiceName) -> bool {
        let Some(addresses) = self.held.remove(name) else { return false };
        addresses.iter().for_each(|address| {
            self.holders.remove(address);
        });
        self.ranges.iter_mut().for_each(|range| range.full = false);
        true
    }

    /// What a Service holds.
    pub fn held(&self, name: &ServiceName) -> &[IpAddr] {
        self.held.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Who holds an address.
    pub fn holder(&self, address: IpAddr) -> Option<&ServiceName> {
        self.holders.get(&address)
    }

    fn hold(&mut self, name: &ServiceName, addresses: Vec<IpAddr>) {
        for &address in &addresses {
            self.holders.insert(address, name.clone());
        }
        self.held.insert(name.clone(), addresses);
    }
}

/// Why a Service has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllocationError {
    /// It asks for one that is another's.
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holder: ServiceName,
    },
    /// All of a range are taken.
    Full {
        /// The range.
        range: IpNet,
    },
}

impl fmt::Display for AllocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllocationError::Taken { address, holder } => {
                write!(
                    f,
                    "spec.clusterIPs: Invalid value: [\"{address}\"]: failed to allocate IP {address}: \
                     provided IP is already allocated (to Service \"{holder}\")"
                )
            }
            AllocationError::Full { range } => {
                write!(f, "failed to allocate an IP: range {range} is full")
            }
        }
    }
}

impl core::error::Error for AllocationError {}

#[derive(Clone, Debug)]
struct Range {
    net: IpNet,
    /// The last search found nothing, and nothing was released since: spares thousands of Services the same search.
    full: bool,
}

impl Range {
    fn new(net: IpNet) -> Range {
        Range { net: net.trunc(), full: false }
    }

    fn find(
        &mut self,
        start: u64,
        holders: &HashMap<IpAddr, ServiceName>,
    ) -> Result<IpAddr, AllocationError> {
        let count = self.count();
        let first = u64::try_from(count).map_or(start, |count| start.checked_rem(count).unwrap_or(0));
        let offset = |probe: usize| {
            let place = u128::from(first) + probe as u128;
            FIRST_OFFSET + if place < count { place } else { place - count }
        };
        let free = |address: &IpAddr| !holders.contains_key(address);
        // Among one more address than are held anywhere, one is free.
        let probes = usize::try_from(count).unwrap_or(usize::MAX).min(holders.len() + 1);
        let found = match self.full {
            true => None,
            false => (0..probes).map(|probe| self.address(offset(probe))).find(free),
        };
        self.full = found.is_none();
        found.ok_or(AllocationError::Full { range: self.net })
    }

    /// How many addresses it has to give.
    fn count(&self) -> u128 {
        let host_bits = u32::from(self.net.max_prefix_len() - self.net.prefix_len());
        1u128.checked_shl(host_bits).unwrap_or(u128::MAX).saturating_sub(FIRST_OFFSET + 1) // the last one
    }

    fn address(&self, offset: u128) -> IpAddr {
        match self.net.network() {
            // The offset is below the size of the range, so the sum stays in it, and the offset in 32 bits.
            IpAddr::V4(network) => IpAddr::V4(Ipv4Addr::from_bits(network.to_bits() + offset as u32)),
            IpAddr::V6(network) => IpAddr::V6(Ipv6Addr::from_bits(network.to_bits() + offset)),
        }
    }
}

/// Behind the network's own address and that of the Service `kubernetes`.
const FIRST_OFFSET: u128 = 2;

/// FNV-1a over `namespace/name`. Written out, because addresses must not move when a library changes its mind.
fn hash(name: &ServiceName) -> u64 {
    let bytes = name.namespace.bytes().chain([b'/']).chain(name.name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::ip;

    fn name(number: u32) -> ServiceName {
        ServiceName::new("shop", format!("web-{number}"))
    }

    fn allocator(ranges: &[&str]) -> Allocator {
        Allocator::new(ranges.iter().map(|range| range.parse::<IpNet>().unwrap()))
    }

    #[test]
    fn an_address_follows_from_the_name_for_ever() {
        let mut allocator = allocator(&["10.96.0.0/12", "fd00:10:96::/112"]);
        let web = ServiceName::new("default", "web");
        assert_eq!(allocator.allocate(&web).unwrap(), [ip("10.110.69.121"), ip("fd00:10:96::455")]);
    }

    #[test]
    fn a_range_gives_all_but_its_ends_and_the_address_of_kubernetes() {
        let mut allocator = allocator(&["10.0.0.0/29"]);
        let given: BTreeSet<_> = (0..5).map(|n| allocator.allocate(&name(n)).unwrap()[0]).collect();
        assert_eq!(given, (2..7).map(|octet| ip(&format!("10.0.0.{octet}"))).collect());

        let full = allocator.allocate(&name(5)).unwrap_err();
        assert_eq!(full.to_string(), "failed to allocate an IP: range 10.0.0.0/29 is full");
        assert!(allocator.release(&name(3)) && !allocator.release(&name(3)));
        assert!(allocator.allocate(&name(5)).is_ok());
    }

    #[test]
    fn the_ends_may_be_claimed() {
        let mut allocator = allocator(&["10.0.0.0/29"]);
        assert_eq!(allocator.claim(&name(0), &[ip("10.0.0.1")]), Ok(()));
        assert_eq!(allocator.holder(ip("10.0.0.1")), Some(&name(0)));
    }

    #[test]
    fn ranges_of_every_size_are_survived() {
        for (range, count) in [("10.0.0.1/32", 0), ("10.0.0.0/31", 0), ("10.0.0.0/30", 1), ("::/127", 0)] {
            let mut allocator = allocator(&[range]);
            let given = (0..3).filter(|&n| allocator.allocate(&name(n)).is_ok()).count();
            assert_eq!(given, count, "{range}");
        }
        for range in ["0.0.0.0/0", "::/0", "fd00::/64"] {
            assert!(allocator(&[range]).allocate(&name(0)).is_ok(), "{range}");
        }
    }

    #[test]
    fn whoever_claims_first_keeps_it() {
        let mut allocator = allocator(&[]);
        allocator.claim(&name(1), &[ip("10.96.0.10"), ip("fd00::10")]).unwrap();
        let refused = allocator.claim(&name(0), &[ip("10.96.0.9"), ip("fd00::10")]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "spec.clusterIPs: Invalid value: [\"fd00::10\"]: failed to allocate IP fd00::10: \
             provided IP is already allocated (to Service \"shop/web-1\")"
        );
        assert_eq!(allocator.holder(ip("10.96.0.9")), None);
        allocator.claim(&name(1), &[ip("10.96.0.10")]).unwrap();
        assert_eq!(allocator.claim(&name(0), &[ip("10.96.0.9"), ip("fd00::10")]), Ok(()));
    }

    proptest! {
        #[test]
        fn no_history_moves_an_address_or_gives_it_twice(steps in prop::collection::vec((0..40u32, any::<bool>()), 0..200)) {
            let mut allocator = allocator(&["10.0.0.0/27"]);
            let mut model: std::collections::BTreeMap<u32, IpAddr> = Default::default();
            for (number, stays) in steps {
                if !stays {
                    prop_assert_eq!(allocator.release(&name(number)), model.remove(&number).is_some());
                    continue;
                }
                match allocator.allocate(&name(number)) {
                    Ok(addresses) => {
                        let address = addresses[0];
                        let taken = model.iter().any(|(&other, &held)| held == address && other != number);
                        prop_assert!(!taken);
                        prop_assert_eq!(*model.entry(number).or_insert(address), address);
                    }
                    Err(_) => prop_assert!(model.len() == 29 && !model.contains_key(&number)),
                }
            }
        }
    }
}
