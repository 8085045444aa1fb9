//! Bounds of address lookups: which addresses, and how many. Clients choose addresses.

use core::net::IpAddr;
use core::time::Duration;

use ipnet::IpNet;

use super::pauses;
use crate::time::Now;

/// Whether a Service may have this cluster IP: it lies in the range of its family (`--service-cidr`), or, where that is not known, in a
/// private one (RFC 1918, RFC 6598, RFC 4193).
pub fn may_be_cluster_ip(ip: IpAddr, service_cidrs: &[IpNet]) -> bool {
    let range = service_cidrs.iter().find(|range| range.addr().is_ipv4() == ip.is_ipv4());
    match (range, ip) {
        (Some(range), ip) => range.contains(&ip),
        (None, IpAddr::V4(ip)) => ip.is_private() || is_shared(ip.octets()),
        (None, IpAddr::V6(ip)) => ip.is_unique_local(),
    }
}

fn is_shared([first, second, ..]: [u8; 4]) -> bool {
    first == 100 && second & 0xC0 == 64 // 100.64.0.0/10, RFC 6598 §7
}

/// A rate of lookups, with a burst for a pod's start.
#[derive(Debug, Default)]
pub(super) struct LookupRate {
    /// The time at which all lookups so far are paid for.
    paid: Now,
}

impl LookupRate {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Now) -> bool {
        let is_there = self.next() <= now;
        if is_there {
            self.paid = pauses::after(self.paid.max(now), EVERY);
        }
        is_there
    }

    /// The time of the next.
    pub(super) fn next(&self) -> Now {
        Now(self.paid.0.saturating_sub(EVERY * (BURST - 1)))
    }
}

/// One costs the server 0.7 ms to 2.8 ms of CPU time: a flood of addresses takes 0.3 % of a processor at most.
const EVERY: Duration = Duration::from_secs(1);

/// The addresses that a pod uses at its start.
const BURST: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_service_ranges_or_of_private_networks_are_looked_up() {
        let ranges: [IpNet; 1] = ["34.118.224.0/20".parse().unwrap()];
        for (ip, anywhere, in_ranges) in [
            ("10.96.0.1", true, false),
            ("172.31.0.1", true, false),
            ("192.168.1.1", true, false),
            ("100.64.0.1", true, false),
            ("100.128.0.1", false, false),
            ("34.118.224.7", false, true),
            ("93.184.215.14", false, false),
            ("169.254.169.254", false, false),
            ("127.66.0.1", false, false),
            ("fd00:10:96::7", true, true),
            ("2606:4700::1111", false, false),
            ("fe80::1", false, false),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(may_be_cluster_ip(ip, &[]), anywhere, "{ip}");
            assert_eq!(may_be_cluster_ip(ip, &ranges), in_ranges, "{ip}");
        }
    }

    #[test]
    fn a_burst_is_followed_by_one_a_second() {
        let at = |millis| Now(Duration::from_millis(millis));
        let mut rate = LookupRate::default();
        let start = 100_000;
        let mut taken = (0..100).filter(|_| rate.take(at(start))).count();
        assert_eq!(taken, 32);
        assert_eq!(rate.next(), at(start + 1_000));
        taken = (0..100).filter(|tenth| rate.take(at(start + tenth * 100))).count();
        assert_eq!(taken, 9);
        taken = (0..100).filter(|_| rate.take(at(start + 3_600_000))).count();
        assert_eq!(taken, 32, "what was not taken is not saved up");
    }
}
