//! The hash table of IPVS's `sh` and `dh`: 256 buckets, each of which belongs to one member (`ip_vs_sh.c`, `ip_vs_dh.c`).

use alloc::boxed::Box;
use core::net::IpAddr;

use super::Member;

/// Which member has which bucket. 256 bytes a table: an index fits into one, since at most 256 members get a bucket.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    members: Box<[u8; BUCKETS]>,
}

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets::deal(&[], |_| 1)
    }
}

impl Buckets {
    /// Deals the buckets out in the order of the members and begins again behind the last, until none is left. `in_a_row` is how many
    /// a member gets each time; it gets one at least.
    pub(super) fn deal(members: &[Member], in_a_row: fn(&Member) -> u16) -> Buckets {
        let hands = members.iter().enumerate().cycle();
        let dealt = hands.flat_map(|(index, member)| (0..in_a_row(member).max(1)).map(move |_| index));
        let mut buckets = Box::new([0; BUCKETS]);
        for (bucket, index) in buckets.iter_mut().zip(dealt) {
            *bucket = index as u8; // below 256, as each one before it has a bucket too
        }
        Buckets { members: buckets }
    }

    /// The member whose bucket `address` falls into. A bucket of weight 0 is nobody's: its clients get no endpoint, as in IPVS.
    ///
    /// Where the member may not be picked for another reason, the others are asked in the order of IPVS's `sh-fallback`. (IPVS itself has
    /// no destination then, unless that flag is set; but S-07 wants a connection that was refused to go on elsewhere, and an endpoint
    /// that is ejected or full would cut its clients off from all the others.)
    pub(super) fn find(
        &self,
        members: &[Member],
        address: IpAddr,
        eligible: &impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let bucket = usize::from(bucket(address));
        let index = self.owner(bucket);
        let member = members.get(index)?;
        match member.weight {
            0 => None,
            _ if eligible(member) => Some(index),
            // The kernel adds the hash to an offset that starts with the hash.
            _ => self.round_from(2 * bucket).find(|&index| members.get(index).is_some_and(eligible)),
        }
    }

    fn round_from(&self, bucket: usize) -> impl Iterator<Item = usize> {
        (bucket..bucket + BUCKETS).map(|bucket| self.owner(bucket))
    }

    fn owner(&self, bucket: usize) -> usize {
        usize::from(self.members[bucket % BUCKETS])
    }
}

/// The number of its bucket: the top 8 bits of the product with 2^32 divided by the golden ratio squared (`hash_32` in
/// `linux/hash.h`). Of an IPv6 address, the four words are folded into one first.
fn bucket(address: IpAddr) -> u8 {
    let folded = match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let halves = (bits >> 64) as u64 ^ bits as u64;
            (halves >> 32) as u32 ^ halves as u32
        }
    };
    (folded.wrapping_mul(GOLDEN_RATIO_32) >> 24) as u8
}

const BUCKETS: usize = 256;

/// 2^32 · (3 − √5) / 2, as `linux/hash.h` of Linux 6.1 has it.
const GOLDEN_RATIO_32: u32 = 0x61C8_8647;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_falls_into_the_bucket_that_the_kernel_gives_it() {
        for (address, expected) in [
            ("0.0.0.1", 0x61), // 1 · 0x61c88647
            ("0.0.0.2", 0xc3), // 2 · 0x61c88647 = 0xc3910c8e
            ("10.0.0.1", 0x27),
            ("192.168.7.33", 0x75),
            ("255.255.255.255", 0x9e), // -1 · 0x61c88647 = 0x9e3779b9
            ("::1", 0x61),
            ("fd00:1:2:3:4:5:6:7", 0x2b), // its words make 0xfd000001 ^ 0x20003 ^ 0x40005 ^ 0x60007 = 0xfd000000
        ] {
            assert_eq!(bucket(address.parse().unwrap()), expected, "{address}");
        }
    }
}
