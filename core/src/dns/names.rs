//! Names: what to ask DNS for the host that a client named, and which Service a name is (S-13).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::{ServiceName, Transport};

/// How resolv.conf(5) completes a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    /// `search`: lower case, without dots at either end.
    pub domains: Vec<Arc<str>>,
    /// `ndots`: a name with so many dots is tried as it is first.
    pub ndots: usize,
}

/// The absolute names that `host` may stand for, in the order in which they are tried: lower case, without a dot at the end, each
/// once. A dot at its end makes a host absolute. None that is longer than DNS allows.
pub fn candidates(host: &str, path: &SearchPath) -> Vec<Arc<str>> {
    let lower = host.to_ascii_lowercase();
    if let Some(absolute) = lower.strip_suffix('.') {
        return [absolute].into_iter().filter(|name| fits(name)).map(Arc::from).collect();
    }
    let completed = path.domains.iter().take(SEARCH_MAX).map(|domain| format!("{lower}.{domain}"));
    let as_it_is_first = lower.matches('.').count() >= path.ndots;
    let (first, last) = match as_it_is_first {
        true => (Some(lower.clone()), None),
        false => (None, Some(lower.clone())),
    };
    let mut names: Vec<Arc<str>> = Vec::new();
    for name in first.into_iter().chain(completed).chain(last) {
        if fits(&name) && !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    names
}

/// The name of a Service in DNS: `name.namespace.svc.DOMAIN`.
pub fn full_name(service: &ServiceName, cluster_domain: &str) -> String {
    format!("{}.{}.svc.{cluster_domain}", service.name, service.namespace)
}

/// The Service whose full name this is; `name` in lower case, without a dot at the end.
pub fn service_of(name: &str, cluster_domain: &str) -> Option<ServiceName> {
    let short = name.strip_suffix(cluster_domain)?.strip_suffix(".svc.")?;
    let (service, namespace) = short.split_once('.')?;
    let whole = !service.is_empty() && !namespace.is_empty() && !namespace.contains('.');
    whole.then(|| ServiceName::new(namespace, service))
}

/// The parts of a host that `host` is called by inside a cluster: `name`, `name.namespace`, `name.namespace.svc` or
/// `name.namespace.svc.DOMAIN` (S-13), in any case.
pub fn split_service<'a>(
    host: &'a str,
    own_namespace: &'a str,
    cluster_domain: &str,
) -> Option<(&'a str, &'a str)> {
    let mut labels = host.splitn(4, '.');
    let name = labels.next()?;
    let namespace = labels.next().unwrap_or(own_namespace);
    let svc = labels.next().is_none_or(|label| label.eq_ignore_ascii_case("svc"));
    let domain = labels.next().is_none_or(|rest| rest.eq_ignore_ascii_case(cluster_domain));
    (svc && domain).then_some((namespace, name))
}

/// What `_port._proto.service` asks for (RFC 2782): the port's name, how it is transported, and the host of the rest.
pub fn split_srv(host: &str) -> Option<(&str, Transport, &str)> {
    let (port, rest) = host.strip_prefix('_')?.split_once('.')?;
    let (transport, rest) = rest.strip_prefix('_')?.split_once('.')?;
    let transport = [Transport::Tcp, Transport::Udp, Transport::Sctp]
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(transport))?;
    (!port.is_empty() && !rest.is_empty()).then_some((port, transport, rest))
}

/// Whether an external name is an address in disguise (S-26). No DNS server answers such a name, but programs that take it for an
/// address would go there.
pub fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok() || is_dotted_number(name)
}

/// `inet_aton` takes one to four numbers, octal and hexadecimal too. RFC 3696 §2: the last label of a host name is never all digits.
fn is_dotted_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let digits = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    digits || hexadecimal.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn fits(name: &str) -> bool {
    let labels = name.split('.').all(|label| (1..=LABEL_BYTES_MAX).contains(&label.len()));
    labels && name.len() <= NAME_BYTES_MAX
}

/// Kubernetes admits 32 domains in a pod's `dnsConfig`; each may cost a look-up.
const SEARCH_MAX: usize = 32;

const NAME_BYTES_MAX: usize = 253; // RFC 1035 §2.3.4: 255 on the wire, less the first length and the root
const LABEL_BYTES_MAX: usize = 63; // RFC 1035 §2.3.4

#[cfg(test)]
mod tests {
    use super::*;

    /// The search path of a pod in the namespace `default`.
    fn pod() -> SearchPath {
        let domains = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];
        SearchPath { domains: domains.map(Arc::from).into(), ndots: 5 }
    }

    #[track_caller]
    fn check(host: &str, path: &SearchPath, expected: &[&str]) {
        let found = candidates(host, path);
        assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), expected, "{host}");
    }

    #[test]
    fn a_short_name_goes_through_the_search_list_and_stands_for_itself_last() {
        check(
            "web",
            &pod(),
            &["web.default.svc.cluster.local", "web.svc.cluster.local", "web.cluster.local", "web"],
        );
        check(
            "Web.Shop",
            &pod(),
            &[
                "web.shop.default.svc.cluster.local",
                "web.shop.svc.cluster.local",
                "web.shop.cluster.local",
                "web.shop",
            ],
        );
    }

    #[test]
    fn a_name_with_ndots_dots_stands_for_itself_first() {
        let path = SearchPath { ndots: 1, ..pod() };
        check(
            "db.example.com",
            &path,
            &[
                "db.example.com",
                "db.example.com.default.svc.cluster.local",
                "db.example.com.svc.cluster.local",
                "db.example.com.cluster.local",
            ],
        );
    }

    #[test]
    fn a_dot_at_the_end_makes_a_name_absolute() {
        check("Db.Example.Com.", &pod(), &["db.example.com"]);
        check("web.", &pod(), &["web"]);
    }

    #[test]
    fn what_dns_cannot_carry_is_not_asked() {
        let long = ["a".repeat(63).as_str(); 3].join(".") + ".bb.svc.x";
        let path = SearchPath { domains: ["cluster.local".into()].into(), ndots: 1 };
        let found =
            candidates(&long, &SearchPath { domains: ["a".repeat(63).as_str().into()].into(), ..path });
        assert_eq!(found.len(), 1, "only as it is: {found:?}");
        assert_eq!(candidates("a..b", &pod()), Vec::<Arc<str>>::new());
    }

    #[test]
    fn a_name_that_a_search_domain_makes_twice_is_tried_once() {
        let path = SearchPath { domains: ["a.b".into(), "a.b".into()].into(), ndots: 1 };
        check("x", &path, &["x.a.b", "x"]);
    }

    #[test]
    fn a_full_name_is_its_services() {
        let name = ServiceName::new("shop", "cart");
        assert_eq!(full_name(&name, "cluster.local"), "cart.shop.svc.cluster.local");
        assert_eq!(service_of("cart.shop.svc.cluster.local", "cluster.local"), Some(name));
        for other in [
            "cart.shop.svc.cluster.org",
            "a.cart.shop.svc.cluster.local",
            "cart.shop.pod.cluster.local",
            "shop.svc.cluster.local",
            ".shop.svc.cluster.local",
            "svc.cluster.local",
        ] {
            assert_eq!(service_of(other, "cluster.local"), None, "{other}");
        }
    }

    #[test]
    fn an_srv_name_has_a_port_and_a_transport() {
        assert_eq!(split_srv("_http._tcp.web.shop"), Some(("http", Transport::Tcp, "web.shop")));
        assert_eq!(split_srv("_dns._UDP.x"), Some(("dns", Transport::Udp, "x")));
        for other in ["http.tcp.web", "_http.web", "_http._quic.web", "_._tcp.web", "_http._tcp."] {
            assert_eq!(split_srv(other), None, "{other}");
        }
    }

    #[test]
    fn what_looks_like_an_address_is_told() {
        for name in ["10.0.0.1", "010.0.0.1", "127.1", "0x7f.1", "db.0x7f", "2130706433", "1.2.3.4.5"] {
            assert!(is_address(name), "{name}");
        }
        for name in ["db.example.com", "1.example", "10.0.0.1.example.com", "x0x1", "xn--p1ai"] {
            assert!(!is_address(name), "{name}");
        }
    }
}
