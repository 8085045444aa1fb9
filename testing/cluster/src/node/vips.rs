//! kube-proxy's part: cluster IPs and node ports by nftables, in the node's own namespace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::process::Command;

use super::{Result, network, services};

/// Puts the rules in force, all at once.
pub(crate) async fn apply(rules: &str) -> Result<()> {
    network::run(Command::new("nft").args(["-f", "-"]), rules).await
}

/// The rules for all Services, as one table that replaces the one before.
pub(crate) fn rules<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: &[&EndpointSlice],
) -> String {
    let mut rules = Rules::default();
    for service in services {
        rules.add(service, slices);
    }
    rules.text()
}

#[derive(Default)]
struct Rules {
    /// Where connections to an address and port go, in nft's words, by family.
    chains: String,
    v4: BTreeMap<String, String>,
    v6: BTreeMap<String, String>,
    without_endpoints: BTreeMap<bool, Vec<String>>,
    /// Pods that reach themselves by a Service.
    own: BTreeMap<bool, Vec<String>>,
}

impl Rules {
    fn add(&mut self, service: &Service, all: &[&EndpointSlice]) {
        let addresses = services::cluster_ips(service);
        let Some(spec) = service.spec.as_ref().filter(|_| !addresses.is_empty()) else { return };
        let slices = services::slices(service, all.iter().copied());
        let sticky = spec.session_affinity.as_deref() == Some("ClientIP");
        for port in spec.ports.iter().flatten() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase();
            for address in &addresses {
                let targets = services::targets(port, address.is_ipv6(), &slices);
                let mut fronts = vec![format!("{address} . {protocol} . {}", port.port)];
                if let (Some(node_port), IpAddr::V4(_)) = (port.node_port.filter(|port| *port > 0), address) {
                    fronts.push(format!("{} . {protocol} . {node_port}", network::NODE));
                }
                if targets.is_empty() {
                    self.without_endpoints.entry(address.is_ipv6()).or_default().extend(fronts);
                    continue;
                }
                let chain = format!("port-{}", self.v4.len() + self.v6.len());
                self.chain(&chain, address.is_ipv6(), &protocol, &targets, sticky);
                let map = if address.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
                for front in fronts {
                    map.insert(front, format!("goto {chain}"));
                }
            }
        }
    }

    fn chain(&mut self, name: &str, v6: bool, protocol: &str, targets: &[(IpAddr, u16)], sticky: bool) {
        let family = if v6 { "ip6" } else { "ip" };
        let choice = match sticky {
            true => format!("jhash {family} saddr mod {}", targets.len()),
            false => format!("numgen random mod {}", targets.len()),
        };
        let elements: Vec<String> = targets
            .iter()
            .enumerate()
            .map(|(index, (address, port))| format!("{index} : {address} . {port}"))
            .collect();
        let own = targets.iter().map(|(address, _)| format!("{address} . {address}"));
        let known = self.own.entry(v6).or_default();
        known.extend(own);
        known.sort_unstable();
        known.dedup();
        let to = if let [(address, port)] = targets {
            let address = if v6 { format!("[{address}]") } else { address.to_string() };
            format!("{address}:{port}")
        } else {
            format!("{choice} map {{ {} }}", elements.join(", "))
        };
        let _written =
            writeln!(self.chains, "  chain {name} {{ meta l4proto {protocol} dnat {family} to {to}; }}");
    }

    fn text(&self) -> String {
        let mut text = format!("table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n");
        text.push_str(&self.chains);
        for (family, kind, map) in [("ip", "ipv4_addr", &self.v4), ("ip6", "ipv6_addr", &self.v6)] {
            let elements: Vec<String> = map.iter().map(|(front, to)| format!("{front} : {to}")).collect();
            let elements = elements_of(&elements);
            let _written = writeln!(
                text,
                "  map {family}-ports {{ type {kind} . inet_proto . inet_service : verdict;{elements} }}"
            );
            let empty = self.without_endpoints.get(&(family == "ip6")).cloned().unwrap_or_default();
            let _written = writeln!(
                text,
                "  set {family}-empty {{ type {kind} . inet_proto . inet_service;{} }}",
                elements_of(&empty)
            );
            let own = self.own.get(&(family == "ip6")).cloned().unwrap_or_default();
            let _written =
                writeln!(text, "  set {family}-own {{ type {kind} . {kind};{} }}", elements_of(&own));
        }
        text.push_str(HOOKS);
        text
    }
}

fn elements_of(elements: &[String]) -> String {
    if elements.is_empty() { String::new() } else { format!(" elements = {{ {} }};", elements.join(", ")) }
}

const TABLE: &str = "svcmesh-cluster";

const HOOKS: &str = "  chain services {
    ip daddr . meta l4proto . th dport vmap @ip-ports
    ip6 daddr . meta l4proto . th dport vmap @ip6-ports
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain output { type nat hook output priority -100; jump services; }
  chain postrouting { type nat hook postrouting priority srcnat;
    ct status dnat ip saddr . ip daddr @ip-own masquerade
    ct status dnat ip6 saddr . ip6 daddr @ip6-own masquerade
  }
  chain empty {
    ip daddr . meta l4proto . th dport @ip-empty reject
    ip6 daddr . meta l4proto . th dport @ip6-empty reject
  }
  chain received { type filter hook prerouting priority -110; ct state new jump empty; }
  chain sent { type filter hook output priority -110; ct state new jump empty; }
}
";

#[cfg(test)]
mod tests {
    use super::services::samples::{service, slice};
    use super::*;
    use serde_json::json;

    fn told(spec: serde_json::Value, slices: &[EndpointSlice]) -> String {
        let slices: Vec<&EndpointSlice> = slices.iter().collect();
        rules([&service("web", spec)], &slices)
    }

    #[test]
    fn connections_to_a_cluster_ip_are_spread_over_its_endpoints() {
        let slice = slice(
            "web",
            "IPv4",
            json!([{ "port": 8080, "protocol": "TCP" }]),
            json!([{ "addresses": ["10.244.0.2"] }, { "addresses": ["10.244.0.3"] }]),
        );
        let text = told(json!({ "clusterIP": "10.96.0.7", "ports": [{ "port": 80 }] }), &[slice]);
        assert!(text.contains("elements = { 10.96.0.7 . tcp . 80 : goto port-0 }"), "{text}");
        let to = "dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }";
        assert!(text.contains(to), "{text}");
    }

    #[test]
    fn both_families_node_ports_and_affinity_have_their_rules() {
        let ports = json!([{ "port": 53, "protocol": "UDP" }]);
        let slices = [
            slice("web", "IPv4", ports.clone(), json!([{ "addresses": ["10.244.0.2"] }])),
            slice("web", "IPv6", ports, json!([{ "addresses": ["fd00::2"] }, { "addresses": ["fd00::3"] }])),
        ];
        let spec = json!({
            "clusterIPs": ["10.96.0.7", "fd00:10:96::7"], "sessionAffinity": "ClientIP",
            "ports": [{ "port": 53, "protocol": "UDP", "nodePort": 30053 }],
        });
        let text = told(spec, &slices);
        assert!(text.contains("meta l4proto udp dnat ip to 10.244.0.2:53"), "{text}");
        assert!(text.contains("10.244.0.1 . udp . 30053 : goto port-0"), "{text}");
        assert!(text.contains("jhash ip6 saddr mod 2 map { 0 : fd00::2 . 53, 1 : fd00::3 . 53 }"), "{text}");
    }

    #[test]
    fn without_endpoints_a_connection_is_refused() {
        let text = told(json!({ "clusterIP": "10.96.0.7", "ports": [{ "port": 80 }] }), &[]);
        assert!(text.contains("set ip-empty { type ipv4_addr . inet_proto . inet_service; elements = { 10.96.0.7 . tcp . 80 }; }"), "{text}");
        let headless = told(json!({ "clusterIP": "None", "ports": [{ "port": 80 }] }), &[]);
        assert!(!headless.contains("elements"), "{headless}");
    }
}
