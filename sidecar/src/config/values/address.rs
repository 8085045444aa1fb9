//! Addresses to listen on, and networks.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::list;
use crate::config::flag::Expected;

/// A list of addresses to listen on; `off` is the empty one.
pub(in crate::config) fn listeners(raw: &str) -> Result<Vec<SocketAddr>, Expected> {
    match raw {
        "off" => Ok(Vec::new()),
        raw => list(raw, |item| {
            item.parse()
                .map_err(|_| "a list of addresses such as `127.0.0.1:15001,[::1]:15001`, or `off`".into())
        }),
    }
}

/// A list of networks, which may be empty; a lone address is a network of one. Bits behind the prefix are
/// dropped.
pub(in crate::config) fn networks(raw: &str) -> Result<Vec<IpNet>, Expected> {
    match raw {
        "" => Ok(Vec::new()),
        raw => list(raw, |item| {
            svc_proto::values::network(item).ok_or("a list of networks such as `10.0.0.0/8,fd00::/8`".into())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_addresses_with_ports_of_both_families() {
        let both = ["127.0.0.1:15001".parse().unwrap(), "[::1]:0".parse().unwrap()];
        assert_eq!(listeners("127.0.0.1:15001, [::1]:0"), Ok(both.to_vec()));
    }

    #[test]
    fn off_stands_alone() {
        assert_eq!(listeners("off"), Ok(Vec::new()));
        assert!(listeners("off,127.0.0.1:1").is_err());
    }

    #[test]
    fn a_listener_is_no_name_and_no_bare_port() {
        for raw in ["", "15001", ":15001", "localhost:80", "127.0.0.1", "::1:80", "127.0.0.1:65536"] {
            assert!(listeners(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn networks_are_what_their_prefix_says() {
        let networks = networks("10.1.2.3/8,192.0.2.7,fd00::1/8").unwrap();
        let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]);
    }

    #[test]
    fn a_network_has_a_prefix_that_fits() {
        for raw in ["10.0.0.0/33", "10.0.0/8", "fd00::/129", "all", "10.0.0.0/8,"] {
            assert!(networks(raw).is_err(), "{raw}");
        }
    }
}
