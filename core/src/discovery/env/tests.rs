//! Cases of the kubelet's own tests, of its source, and what others may put into an environment.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use Transport::{Sctp, Tcp, Udp};

use super::*;
use crate::address::{ServiceName, Transport};
use crate::service::{Handling, Port, Service, ServiceType, TargetPort};

pub(super) fn service(name: &str, address: &str, ports: &[(&str, u16, Transport)]) -> Service {
    let port = |&(name, port, transport): &(&str, u16, Transport)| Port {
        name: name.into(),
        port,
        transport,
        target: TargetPort::Number(port),
        node_port: None,
        app_protocol: None,
    };
    Service {
        name: ServiceName::new("shop", name),
        kind: ServiceType::ClusterIp,
        cluster_ips: address.parse().into_iter().collect(),
        headless: address == "None",
        external_ips: Vec::new(),
        ingress: Vec::new(),
        external_name: None,
        affinity: None,
        internal_traffic_local: false,
        traffic_distribution: None,
        publish_not_ready: false,
        annotations: Default::default(),
        handling: Handling::default(),
        ports: ports.iter().map(port).collect(),
    }
}

/// `NAME=value` lines of what a pod in `shop` gets.
fn generated(services: &[Service]) -> String {
    lines(&generate(services, "shop", true))
}

fn lines(variables: &[(String, String)]) -> String {
    variables.iter().map(|(name, value)| alloc::format!("{name}={value}\n")).collect()
}

/// Parses `NAME=value` lines as a pod in `shop` would.
fn parsed(environment: &str) -> Discovered {
    let variables = environment.lines().filter_map(|line| line.trim().split_once('='));
    parse(variables, &Arc::from("shop"))
}

/// `name address name:port/PROTOCOL …` for each Service, and the warnings.
fn summary(environment: &str) -> Vec<String> {
    let Discovered { services, warnings } = parsed(environment);
    let service = |service: &Service| {
        let ports: Vec<String> = service
            .ports
            .iter()
            .map(|port| alloc::format!("{}:{}/{}", port.name, port.port, port.transport.as_str()))
            .collect();
        alloc::format!("{:?} {} {}", service.name, service.cluster_ips[0], ports.join(" "))
    };
    services.iter().map(service).chain(warnings.iter().map(|warning| alloc::format!("{warning}"))).collect()
}

#[test]
fn a_service_is_written_as_the_kubelet_writes_it() {
    insta::assert_snapshot!(generated(&[
        service("foo-bar", "1.2.3.4", &[("", 8080, Tcp)]),
        service("abc-123", "5.6.7.8", &[("u-d-p", 8081, Udp), ("t-c-p", 8081, Tcp)]),
        service("q-u-u-x", "9.8.7.6", &[("", 8082, Tcp), ("8083", 8083, Tcp)]),
        service("svrc-clusterip-none", "None", &[("", 8082, Tcp)]),
        service("svrc-clusterip-empty", "", &[("", 8082, Tcp)]),
        service("super-ipv6", "2001:DB8::", &[("u-d-p", 8084, Udp), ("t-c-p", 8084, Tcp)]),
        service("assoc", "9.8.7.5", &[("", 38412, Sctp)]),
        service("123-abc", "9.8.7.4", &[("", 80, Tcp)]),
    ]));
}

#[test]
fn what_has_no_address_is_not_written() {
    let external =
        Service { kind: ServiceType::ExternalName, ..service("docs", "10.0.0.1", &[("", 80, Tcp)]) };
    let headless = Service { headless: true, ..service("db", "10.0.0.2", &[("", 80, Tcp)]) };
    let portless = service("none", "10.0.0.3", &[]);
    assert_eq!(generated(&[external, headless, portless]), "");
}

#[test]
fn a_pod_sees_its_own_namespace_and_the_api_server() {
    let elsewhere = |namespace: &str, service: Service| Service {
        name: ServiceName::new(namespace, service.name.name.clone()),
        ..service
    };
    let api = elsewhere("default", service("kubernetes", "10.96.0.1", &[("https", 443, Tcp)]));
    let others = elsewhere("default", service("web", "10.96.0.2", &[("", 80, Tcp)]));
    let own = service("web", "10.96.0.3", &[("", 80, Tcp)]);
    let namesake = service("kubernetes", "10.96.0.4", &[("", 1, Tcp)]);
    let hosts = |services: &[&Service], namespace, links| -> Vec<String> {
        let variables = generate(services.iter().copied(), namespace, links);
        variables.into_iter().filter(|(name, _)| name.ends_with("_HOST")).map(|(_, value)| value).collect()
    };
    assert_eq!(hosts(&[&api, &others, &own], "shop", true), ["10.96.0.1", "10.96.0.3"]);
    assert_eq!(hosts(&[&api, &others, &own], "shop", false), ["10.96.0.1"]);
    assert_eq!(hosts(&[&api, &others, &own], "default", true), ["10.96.0.1", "10.96.0.2"]);
    assert_eq!(hosts(&[&api, &others, &own], "default", false), ["10.96.0.1"]);
    assert_eq!(hosts(&[&api, &namesake], "shop", true), ["10.96.0.4"]);
    assert_eq!(hosts(&[&api, &namesake], "shop", false), ["10.96.0.1"]);
}

#[test]
fn the_short_pair_is_enough() {
    assert_eq!(
        summary("MY_DB_SERVICE_HOST=10.0.0.11\nMY_DB_SERVICE_PORT=5432"),
        ["shop/my-db 10.0.0.11 :5432/TCP"]
    );
}

#[test]
fn links_add_protocols_and_ports() {
    let environment = "
        DNS_SERVICE_HOST=10.0.0.10
        DNS_SERVICE_PORT=53
        DNS_PORT=udp://10.0.0.10:53
        DNS_PORT_53_UDP=udp://10.0.0.10:53
        DNS_PORT_53_UDP_PROTO=udp
        DNS_PORT_53_UDP_PORT=53
        DNS_PORT_53_UDP_ADDR=10.0.0.10
        DNS_PORT_9_SCTP=sctp://10.0.0.10:9";
    assert_eq!(summary(environment), ["shop/dns 10.0.0.10 port-53-udp:53/UDP port-9-sctp:9/SCTP"]);
}

#[test]
fn names_find_their_protocol_where_one_can_tell() {
    let dns =
        service("kube-dns", "10.0.0.10", &[("dns", 53, Udp), ("dns-tcp", 53, Tcp), ("metrics", 9153, Tcp)]);
    let found = parsed(&generated(core::slice::from_ref(&dns)));
    assert_eq!(found, Discovered { services: [dns].to_vec(), warnings: Vec::new() });
    let unclear = service("abc-123", "5.6.7.8", &[("u-d-p", 8081, Udp), ("t-c-p", 8081, Tcp)]);
    assert_eq!(
        summary(&generated(&[unclear])),
        [
            "shop/abc-123 5.6.7.8 port-8081-udp:8081/UDP port-8081-tcp:8081/TCP",
            "ABC_123_SERVICE_PORT_T_C_P `8081`: expected a name that tells which of the protocols on this port it is for",
            "ABC_123_SERVICE_PORT_U_D_P `8081`: expected a name that tells which of the protocols on this port it is for",
        ]
    );
}

#[test]
fn only_the_first_port_does_without_a_name() {
    let half_named = service("dns", "10.0.0.10", &[("", 53, Udp), ("zone", 53, Tcp)]);
    let found = parsed(&generated(core::slice::from_ref(&half_named)));
    assert_eq!(found, Discovered { services: [half_named].to_vec(), warnings: Vec::new() });
}

#[test]
fn ipv6_is_bare_as_a_host_and_in_brackets_in_a_url() {
    let environment = "
        SIX_SERVICE_HOST=2001:db8::1
        SIX_PORT=udp://[2001:db8::1]:53";
    assert_eq!(summary(environment), ["shop/six 2001:db8::1 :53/UDP"]);
    assert_eq!(
        summary("SIX_SERVICE_HOST=[2001:db8::1]\nSIX_SERVICE_PORT=53"),
        ["SIX_SERVICE_HOST `[2001:db8::1]`: expected the IP address of a Service"]
    );
}

#[test]
fn the_api_server_is_in_the_namespace_default() {
    let environment =
        "KUBERNETES_SERVICE_HOST=10.96.0.1\nKUBERNETES_SERVICE_PORT=443\nKUBERNETES_SERVICE_PORT_HTTPS=443";
    assert_eq!(summary(environment), ["default/kubernetes 10.96.0.1 https:443/TCP"]);
}

#[test]
fn digits_may_come_first() {
    assert_eq!(
        summary("123_ABC_SERVICE_HOST=10.0.0.1\n123_ABC_SERVICE_PORT=80"),
        ["shop/123-abc 10.0.0.1 :80/TCP"]
    );
}

#[test]
fn port_zero_and_garbage_are_ignored_with_a_warning() {
    let environment = "
        A_SERVICE_HOST=10.0.0.1
        A_SERVICE_PORT=0
        A_SERVICE_PORT_WEB=eighty
        A_PORT=tcp://10.0.0.1:0
        A_PORT_80_TCP=tcp://10.0.0.9:80
        A_PORT_81_TCP=tcp://10.0.0.1:81
        B_SERVICE_HOST=db.example.com
        B_SERVICE_PORT=80
        C_SERVICE_HOST=0.0.0.0
        D_SERVICE_HOST=10.0.0.4
        E_SERVICE_PORT=80";
    assert_eq!(
        summary(environment),
        [
            "shop/a 10.0.0.1 :81/TCP",
            "B_SERVICE_HOST `db.example.com`: expected the IP address of a Service",
            "C_SERVICE_HOST `0.0.0.0`: expected the IP address of a Service",
            "A_PORT `tcp://10.0.0.1:0`: expected a URL such as `tcp://10.0.0.1:80`",
            "A_PORT_80_TCP `tcp://10.0.0.9:80`: expected the address of the Service",
            "A_SERVICE_PORT `0`: expected a port from 1 to 65535",
            "A_SERVICE_PORT_WEB `eighty`: expected a port from 1 to 65535",
            "D_SERVICE_HOST `10.0.0.4`: expected a variable with a port beside it",
        ]
    );
}

/// Both define `FOO_SERVICE_PORT`; the kubelet keeps either.
#[test]
fn foo_and_foo_service_are_both_found_whoever_wins_their_common_variable() {
    let services = [
        service("foo", "10.0.0.1", &[("", 80, Tcp)]),
        service("foo-service", "10.0.0.2", &[("a", 81, Udp), ("b", 82, Tcp)]),
    ];
    let generated = generated(&services);
    for winner in ["80", "udp://10.0.0.2:81"] {
        let others = generated.lines().filter(|line| !line.starts_with("FOO_SERVICE_PORT="));
        let environment: Vec<String> =
            others.map(String::from).chain([alloc::format!("FOO_SERVICE_PORT={winner}")]).collect();
        let found = parsed(&environment.join("\n"));
        assert_eq!(found, Discovered { services: services.to_vec(), warnings: Vec::new() }, "{winner}");
    }
}

#[test]
fn a_port_may_be_called_like_a_part_of_a_link() {
    let odd = service("foo", "10.0.0.1", &[("81-tcp-port", 80, Tcp), ("x-service-host", 81, Tcp)]);
    let other = service("foo-service", "10.0.0.2", &[("", 82, Tcp)]);
    let found = parsed(&generated(&[odd.clone(), other.clone()]));
    assert_eq!(found, Discovered { services: [odd, other].to_vec(), warnings: Vec::new() });
}

#[test]
fn names_and_values_that_are_too_long_are_passed_over() {
    let name = "A".repeat(64);
    assert_eq!(summary(&alloc::format!("{name}_SERVICE_HOST=10.0.0.1\n{name}_SERVICE_PORT=80")), [""; 0]);
    assert_eq!(summary(&alloc::format!("A_SERVICE_HOST={}", "1".repeat(1025))), [""; 0]);
    let warned = &parsed(&alloc::format!("A_SERVICE_HOST={}", "é".repeat(500))).warnings[0];
    assert_eq!(warned.value.chars().count(), 60);
}
