//! Whom a request was meant for: a web page whose name leads to this pod (DNS rebinding) must not speak for somebody in it.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

use hyper::header::HOST;
use hyper::{Request, Version};

/// Whether a request names this pod: by an address, which no page can be from that came by a name; by `localhost`; or by the pod's own name.
pub(super) fn is_own<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).into_iter();
    let said = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return false,
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => Some(host.to_str().unwrap_or_default()),
        (None, None, None) => None,
    };
    match said {
        Some(said) => is_own_name(said, &pod_name()),
        None => request.version() == Version::HTTP_10, // no browser leaves it out
    }
}

/// `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`.
fn is_own_name(said: &str, pod: &str) -> bool {
    if let Some(address) = said.strip_prefix('[') {
        let Some((address, rest)) = address.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || is_port(rest));
    }
    let (name, port) = said.split_at(said.find(':').unwrap_or(said.len()));
    let is_name = |own: &str| !own.is_empty() && name.eq_ignore_ascii_case(own);
    (port.is_empty() || is_port(port))
        && (name.parse::<IpAddr>().is_ok() || is_name("localhost") || is_name(pod))
}

/// `:15020`
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The pod's name, as its containers have it for the name of their host.
fn pod_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_the_pods_own_name_are_its_own() {
        for own in [
            "127.0.0.1",
            "127.0.0.1:15020",
            "10.0.0.9:15020",
            "[::1]",
            "[::1]:15020",
            "localhost",
            "LocalHost:1",
            "web-0:15020",
        ] {
            assert!(is_own_name(own, "web-0"), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:15020",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "[::1",
            "[::1]x",
            "web-1",
            "web-0.evil.example",
            "127.0.0.1@evil.example",
            "::1",
            "[evil]:1",
        ] {
            assert!(!is_own_name(foreign, "web-0"), "{foreign}");
        }
        assert!(!is_own_name("", "") && !is_own_name(":1", ""));
    }

    #[test]
    fn what_the_target_says_counts_before_the_header_and_two_headers_are_none() {
        let request = |target: &str, hosts: &[&str], version| {
            let mut request = Request::builder().uri(target).version(version);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            is_own(&request.body(()).unwrap())
        };
        assert!(request("/config", &["localhost"], Version::HTTP_11));
        assert!(!request("http://evil.example/config", &["localhost"], Version::HTTP_11));
        assert!(!request("/config", &["localhost", "evil.example"], Version::HTTP_11));
        assert!(!request("/config", &[], Version::HTTP_11));
        assert!(request("/config", &[], Version::HTTP_10));
    }
}
