//! What Services and their slices come to, for rules and for names.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use svc_core::service::{Rules, object, read_service};

/// The variables that announce Services to a container of `namespace`.
pub(crate) fn variables<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    namespace: &str,
    links: bool,
) -> Vec<(String, String)> {
    let read = |service: &Service| {
        let object: object::Service = serde_json::from_value(serde_json::to_value(service).ok()?).ok()?;
        Some(read_service(&object, &Rules::default()).ok()?.fact)
    };
    let services: Vec<_> = services.into_iter().filter_map(read).collect();
    svc_core::discovery::env::generate(&services, namespace, links)
}

/// The Service's slices among all of them.
pub(crate) fn slices<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
) -> Vec<&'a EndpointSlice> {
    let of = |slice: &&EndpointSlice| {
        let labels = slice.metadata.labels.as_ref();
        slice.metadata.namespace == service.metadata.namespace
            && labels.and_then(|labels| labels.get(SERVICE_NAME)) == service.metadata.name.as_ref()
    };
    slices.into_iter().filter(of).collect()
}

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The endpoints of one port and family that get connections: the ready ones, else those that still serve while they end.
pub(crate) fn targets(port: &ServicePort, v6: bool, slices: &[&EndpointSlice]) -> Vec<(IpAddr, u16)> {
    let of = |wanted: fn(&Endpoint) -> bool| {
        let mut found = Vec::new();
        for slice in slices.iter().filter(|slice| (slice.address_type == "IPv6") == v6) {
            let Some(number) = port_of(slice, port) else { continue };
            for endpoint in slice.endpoints.iter().filter(|endpoint| wanted(endpoint)) {
                let addresses = endpoint.addresses.iter().filter_map(|address| address.parse().ok());
                found.extend(addresses.map(|address: IpAddr| (address, number)));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    };
    let ready = of(is_ready);
    if ready.is_empty() { of(is_serving) } else { ready }
}

fn port_of(slice: &EndpointSlice, port: &ServicePort) -> Option<u16> {
    let same = |text: &Option<String>, other: &Option<String>, default: &str| {
        let or = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        or(text).as_deref().unwrap_or(default) == or(other).as_deref().unwrap_or(default)
    };
    let mut ports = slice.ports.iter().flatten();
    let found =
        ports.find(|found| same(&found.name, &port.name, "") && same(&found.protocol, &port.protocol, "TCP"));
    found?.port.and_then(|number| u16::try_from(number).ok())
}

pub(crate) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn is_serving(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions
        .is_some_and(|conditions| conditions.serving == Some(true) && conditions.terminating == Some(true))
}

/// The cluster IPs of a Service; none for a headless one.
pub(crate) fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let all = spec.cluster_ips.clone().filter(|ips| !ips.is_empty());
    let all = all.or_else(|| spec.cluster_ip.clone().map(|ip| vec![ip])).unwrap_or_default();
    all.iter().filter_map(|ip| ip.parse().ok()).collect()
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn service(name: &str, spec: Value) -> Service {
        serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": spec }))
            .unwrap()
    }

    pub(crate) fn slice(service: &str, kind: &str, ports: Value, endpoints: Value) -> EndpointSlice {
        let labels = json!({ SERVICE_NAME: service });
        serde_json::from_value(json!({
            "metadata": { "name": format!("{service}-1"), "namespace": "shop", "labels": labels },
            "addressType": kind, "ports": ports, "endpoints": endpoints,
        }))
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{service, slice};
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_that_end_are_used_when_no_other_is_left() {
        let port: ServicePort = serde_json::from_value(json!({ "name": "web", "port": 80 })).unwrap();
        let ports = json!([{ "name": "web", "port": 8080, "protocol": "TCP" }]);
        let ending = json!({ "addresses": ["10.0.0.1"], "conditions": { "ready": false, "serving": true, "terminating": true } });
        let ready = json!({ "addresses": ["10.0.0.2"], "conditions": { "ready": true } });
        let both = slice("web", "IPv4", ports.clone(), json!([ending, ready]));
        assert_eq!(targets(&port, false, &[&both]), [("10.0.0.2".parse().unwrap(), 8080)]);
        let last = slice("web", "IPv4", ports, json!([ending]));
        assert_eq!(targets(&port, false, &[&last]), [("10.0.0.1".parse().unwrap(), 8080)]);
        assert_eq!(targets(&port, true, &[&last]), []);
    }

    #[test]
    fn slices_of_one_service_may_have_different_ports() {
        let port: ServicePort = serde_json::from_value(json!({ "port": 80 })).unwrap();
        let of = |number: u16, address: &str| {
            slice(
                "web",
                "IPv4",
                json!([{ "port": number, "protocol": "TCP" }]),
                json!([{ "addresses": [address] }]),
            )
        };
        let (a, b) = (of(8080, "10.0.0.1"), of(9090, "10.0.0.2"));
        assert_eq!(
            targets(&port, false, &[&a, &b]),
            [("10.0.0.1".parse().unwrap(), 8080), ("10.0.0.2".parse().unwrap(), 9090)]
        );
    }

    #[test]
    fn services_are_announced_in_the_environment() {
        let web = service(
            "web",
            json!({ "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": [{ "port": 80 }] }),
        );
        let variables = variables([&web], "shop", true);
        assert!(
            variables.contains(&("WEB_SERVICE_HOST".to_owned(), "10.96.0.7".to_owned())),
            "{variables:?}"
        );
        assert!(variables.contains(&("WEB_PORT_80_TCP".to_owned(), "tcp://10.96.0.7:80".to_owned())));
        assert!(super::variables([&web], "shop", false).is_empty());
    }
}
