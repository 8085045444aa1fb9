//! What resolv.conf(5) says: whom to ask, and how names are completed.

use std::net::{SocketAddr, SocketAddrV6};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use nix::net::if_::if_nametoindex;
use resolv_conf::{Config, ScopedIp};
use svc_core::dns::names::SearchPath;

/// What a resolver needs to know.
#[derive(Debug)]
pub(super) struct ResolvConf {
    /// At least one, in the order in which they are asked.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: SearchPath,
    /// How long a server is waited for.
    pub(super) timeout: Duration,
    /// Datagrams are not used (`use-vc`).
    pub(super) tcp_only: bool,
}

impl ResolvConf {
    /// # Errors
    /// It cannot be read, or names no server.
    pub(super) fn open(path: &Path) -> io::Result<ResolvConf> {
        ResolvConf::parse(&fs::read(path)?)
    }

    /// A line that cannot be read is left out, and told: the others serve.
    fn parse(text: &[u8]) -> io::Result<ResolvConf> {
        let (config, errors) = Config::parse_with_errors(text);
        for error in errors {
            tracing::warn!(%error, "a line of resolv.conf is left out");
        }
        let mut servers: Vec<SocketAddr> = Vec::new();
        for server in config.nameservers.iter().filter_map(address) {
            if servers.len() < SERVERS_MAX && !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() {
            return Err(io::Error::other("it names no server"));
        }
        let search = config.get_last_search_or_domain().map(|domain| domain.trim_matches('.'));
        let domains = search.filter(|domain| !domain.is_empty() && *domain != "--");
        let domains = domains.map(|domain| Arc::from(domain.to_ascii_lowercase())).collect();
        let ndots = usize::try_from(config.ndots).unwrap_or(usize::MAX);
        Ok(ResolvConf {
            servers,
            search: SearchPath { domains, ndots },
            timeout: Duration::from_secs(config.timeout.into()),
            tcp_only: config.use_vc,
        })
    }
}

fn address(server: &ScopedIp) -> Option<SocketAddr> {
    match server {
        ScopedIp::V4(ip) => Some(SocketAddr::new((*ip).into(), PORT)),
        ScopedIp::V6(ip, scope) => {
            let index = scope.as_deref().map_or(Some(0), scope_index);
            if index.is_none() {
                tracing::warn!(%server, "a name server's interface is not there");
            }
            Some(SocketAddr::V6(SocketAddrV6::new(*ip, PORT, 0, index?)))
        }
    }
}

/// RFC 4007 §11.2: a number, or the name of an interface.
fn scope_index(scope: &str) -> Option<u32> {
    scope.parse().ok().or_else(|| if_nametoindex(scope).ok())
}

const PORT: u16 = 53; // RFC 1035 §4.2

/// Three are usual, and all that glibc takes; each may cost a socket for each question.
const SERVERS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_pods_resolv_conf_is_read_whole() {
        let read = parse(
            "nameserver 10.96.0.10\nnameserver fd00::10\nnameserver fe80::1%1\nnameserver 10.96.0.10\n\
             search Default.svc.cluster.local. svc.cluster.local -- .\noptions ndots:5 timeout:2 use-vc\n",
        );
        let servers: Vec<_> = read.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.96.0.10:53", "[fd00::10]:53", "[fe80::1%1]:53"]);
        assert_eq!(read.search.domains, ["default.svc.cluster.local", "svc.cluster.local"].map(Arc::from));
        assert_eq!((read.search.ndots, read.timeout, read.tcp_only), (5, Duration::from_secs(2), true));
    }

    #[test]
    fn a_line_that_cannot_be_read_takes_nothing_from_the_others() {
        let read = parse("nameserver 10.0.0.300\noptions what:ever\nnameserver 10.0.0.3\n");
        assert_eq!(read.servers, ["10.0.0.3:53".parse().unwrap()]);
        assert_eq!((read.search.domains.len(), read.search.ndots), (0, 1));
    }

    #[test]
    fn without_a_server_there_is_nobody_to_ask() {
        assert!(ResolvConf::parse(b"search example.com\n").is_err());
    }
}
