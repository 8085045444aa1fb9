//! Objects as people write them, read into facts. The messages of refusals are under snapshot where files are read.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use serde_json::{Value, json};

use super::*;

fn rules() -> Rules {
    Rules::default()
}

fn service_in(value: Value, rules: &Rules) -> Result<Valid<Service>, Invalid> {
    read_service(&serde_json::from_value(value).unwrap(), rules)
}

fn service(value: Value) -> Service {
    let valid = service_in(value, &rules()).unwrap();
    assert_eq!(shown(&valid.warnings), Vec::<String>::new());
    valid.fact
}

fn shown(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(ToString::to_string).collect()
}

fn slice(value: Value) -> Slice {
    let object = serde_json::from_value(value).unwrap();
    let valid = read_endpoint_slice(&object, &rules(), &mut Interner::default()).unwrap();
    valid.fact.into_iter().next().unwrap()
}

fn slice_of(endpoints: Value, ports: Value) -> Slice {
    let metadata = json!({"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}});
    slice(json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}))
}

#[test]
fn what_a_service_leaves_out_has_the_defaults_of_the_api() {
    let read = service(json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}));
    let port = Port {
        name: "".into(),
        port: 80,
        transport: Transport::Tcp,
        target: TargetPort::Number(80),
        node_port: None,
        app_protocol: None,
    };
    assert_eq!(read.name, ServiceName::new("default", "web"));
    assert_eq!((read.kind, read.affinity, read.headless), (ServiceType::ClusterIp, None, false));
    assert_eq!(read.ports, [port]);
}

#[test]
fn null_is_as_good_as_absent() {
    let spec = json!({
        "type": null, "clusterIP": null, "clusterIPs": null, "externalIPs": null, "sessionAffinity": null, "selector": null,
        "ports": [{"name": null, "port": 80, "protocol": null, "targetPort": null, "nodePort": null, "appProtocol": null}],
    });
    let short = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    let metadata = json!({"name": "web", "namespace": null, "labels": null, "annotations": null});
    assert_eq!(service(json!({"metadata": metadata, "spec": spec, "status": null})), service(short));
}

#[test]
fn a_service_as_kubectl_prints_it_is_read_whole() {
    let read = service(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "web", "namespace": "shop", "resourceVersion": "4711", "uid": "x", "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"svcmesh.dev/load-balancer": "random", "example.com/x": "y"},
        },
        "spec": {
            "type": "LoadBalancer", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"],
            "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack", "externalIPs": ["192.0.2.7"],
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose", "publishNotReadyAddresses": true,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns-udp", "nodePort": 30053},
                {"name": "dns-tcp", "port": 53, "targetPort": 5353, "nodePort": 30053, "appProtocol": "kubernetes.io/h2c"},
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"hostname": "lb.example", "ipMode": "Proxy"}]}},
    }));
    assert_eq!(read.cluster_ips, ["10.96.0.7".parse::<IpAddr>().unwrap(), "fd00::7".parse().unwrap()]);
    assert_eq!(read.affinity, Some(Duration::from_secs(60)));
    assert_eq!(read.ports[0].target, TargetPort::Name("dns-udp".into()));
    assert_eq!(read.ports[1].node_port, Some(30053));
    assert_eq!(read.ingress.iter().map(|ingress| ingress.proxied).collect::<Vec<_>>(), [false, true]);
    assert_eq!(read.annotations.keys().map(|key| &**key).collect::<Vec<_>>(), ["svcmesh.dev/load-balancer"]);
    assert!(read.internal_traffic_local && read.publish_not_ready);
}

#[test]
fn an_external_name_that_looks_like_an_address_is_admitted_with_a_warning() {
    let object =
        json!({"metadata": {"name": "db"}, "spec": {"type": "ExternalName", "externalName": "10.0.0.1"}});
    let valid = service_in(object, &rules()).unwrap();
    assert_eq!(valid.fact.external_name.as_deref(), Some("10.0.0.1"));
    assert!(
        shown(&valid.warnings)[0].starts_with(r#"spec.externalName: "10.0.0.1" is a name"#),
        "{:?}",
        valid.warnings
    );
}

#[test]
fn a_name_that_starts_with_a_digit_is_admitted_with_a_warning() {
    let object = json!({"metadata": {"name": "3scale"}, "spec": {"ports": [{"port": 80}]}});
    assert_eq!(service_in(object, &rules()).unwrap().warnings.len(), 1);
}

#[test]
fn an_annotation_that_is_only_spelt_like_ours_is_ignored_with_a_warning() {
    let annotations = json!({
        "svcmesh.dev/load-balancr": "rr", "svcmesh.dev/inject": "true", "svcmesh.development/x": "y", "svcmesh.dev/timeout": "1s",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    });
    let metadata = json!({"name": "web", "annotations": annotations});
    let object = json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}});
    let valid = service_in(object, &rules()).unwrap();
    let warning = |key| {
        format!("metadata.annotations[{key}]: no annotation of a Service is called so, and it is ignored")
    };
    let meant = "; did you mean `svcmesh.dev/load-balancer`?";
    let expected = [warning("svcmesh.dev/inject"), warning("svcmesh.dev/load-balancr") + meant];
    assert_eq!(shown(&valid.warnings), expected);
    assert_eq!(valid.fact.annotations.keys().map(|key| &**key).collect::<Vec<_>>(), ["svcmesh.dev/timeout"]);
}

#[test]
fn annotations_of_aws_count_unless_they_are_empty() {
    let metadata = json!({"name": "web", "annotations": {
        "service.beta.kubernetes.io/aws-load-balancer-healthcheck-healthy-threshold": "",
        "service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout": "60",
    }});
    let read = service(json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}}));
    let honoured: Vec<_> = read.annotations.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(honoured, [("service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout", "60")]);
    assert_eq!(read.handling.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(read.handling.health_check, None);
}

#[test]
fn a_check_by_tls_is_made_without_it_and_a_warning_says_so() {
    let warnings = |own: Value| {
        let mut annotations =
            json!({"service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol": "HTTPS"});
        annotations.as_object_mut().unwrap().extend(own.as_object().cloned().unwrap());
        let metadata = json!({"name": "web", "annotations": annotations});
        let object = json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}});
        shown(&service_in(object, &rules()).unwrap().warnings)
    };
    assert!(warnings(json!({}))[0].ends_with("endpoints are asked by a connection only, without TLS"));
    assert_eq!(warnings(json!({"svcmesh.dev/health-check": "tcp"})), [""; 0]);
}

/// Key and example of each row about an annotation.
fn documented() -> Vec<(String, String)> {
    let rows = include_str!("../../../docs/services.md").lines().filter(|line| line.starts_with("| `"));
    let cell = |cell: &str| cell.trim().trim_matches('`').replace('\0', "|");
    let row = |row: &str| {
        let row = row.replace("\\|", "\0").replace('…', "service.beta.kubernetes.io/aws-load-balancer-");
        let cells: Vec<String> = row.split('|').map(cell).collect();
        (cells[1].clone(), cells[4].clone())
    };
    rows.map(row).collect()
}

#[test]
fn the_page_about_services_has_each_annotation_with_an_example_that_is_admitted() {
    use svc_proto::names::annotation;
    let documented = documented();
    for (key, example) in &documented {
        let metadata = json!({"name": "web", "annotations": {key.as_str(): example}});
        let unasked = service(json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}));
        let asked = service(json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}}));
        let counts = asked.handling != unasked.handling || COUNTS_WITH_OTHERS.contains(&key.as_str());
        assert!(asked.annotations.contains_key(key.as_str()) && counts, "{key}: {example}");
    }
    let has_row = |key: &&str| documented.iter().any(|(documented, _)| documented == key);
    let rowless: Vec<&str> = annotation::ON_SERVICES
        .into_iter()
        .chain(annotation::aws::ON_SERVICES)
        .filter(|key| !has_row(key))
        .collect();
    assert_eq!(rowless, NOT_ACTED_ON);
}

/// Weights are read with the endpoints; the draining timeout needs to be enabled; the type decides what checks may ask for.
const COUNTS_WITH_OTHERS: [&str; 3] = [
    "svcmesh.dev/weights",
    "service.beta.kubernetes.io/aws-load-balancer-connection-draining-timeout",
    "service.beta.kubernetes.io/aws-load-balancer-type",
];

/// What the page says of them is that they do nothing yet.
const NOT_ACTED_ON: [&str; 1] = ["svcmesh.dev/data-path"];

#[test]
fn a_chosen_cluster_ip_lies_in_the_range_of_its_family() {
    let object =
        |ip: &str| json!({"metadata": {"name": "web"}, "spec": {"clusterIP": ip, "ports": [{"port": 80}]}});
    let rules = Rules { service_cidrs: ["10.96.0.0/12".parse().unwrap()].into(), ..rules() };
    assert!(service_in(object("10.96.0.1"), &rules).is_ok());
    assert_eq!(
        service_in(object("10.0.0.1"), &rules).unwrap_err().to_string(),
        "Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: failed to allocate IP 10.0.0.1: the provided \
         IP is not in the valid range. The range of valid IPs is 10.96.0.0/12"
    );
    assert_eq!(
        service_in(object("fd00::1"), &rules).unwrap_err().to_string(),
        "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"fd00::1\"]: IPv6 is not configured on this cluster"
    );
}

#[test]
fn nil_conditions_mean_ready_and_serving_and_not_terminating() {
    let read = slice_of(
        json!([
            {"addresses": ["10.0.0.1"]},
            {"addresses": ["10.0.0.2"], "conditions": {}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        ]),
        json!([{"port": 80}]),
    );
    let conditions: Vec<_> = read.endpoints.iter().map(|e| (e.ready, e.serving, e.terminating)).collect();
    assert_eq!(conditions, [(true, true, false), (true, true, false), (false, true, true)]);
}

#[test]
fn ports_without_a_number_are_dropped() {
    let read =
        slice_of(json!([]), json!([{"name": "a"}, {"name": "b", "port": 0}, {"name": "c", "port": 80}]));
    assert_eq!(read.ports.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn v1beta1_says_node_and_zone_in_its_topology() {
    let topology = json!({"kubernetes.io/hostname": "node-1", "topology.kubernetes.io/zone": "zone-a"});
    let read = slice_of(json!([{"addresses": ["10.0.0.1"], "topology": topology}]), json!([]));
    let place = read.endpoints[0].place.as_deref().unwrap();
    assert_eq!((place.node.as_deref(), place.zone.as_deref()), (Some("node-1"), Some("zone-a")));
}

#[test]
fn equal_nodes_zones_and_hints_are_kept_once() {
    let endpoint = json!({
        "addresses": ["10.0.0.1"], "nodeName": "node-1", "zone": "zone-a", "hints": {"forZones": [{"name": "zone-a"}]},
    });
    let read = slice_of(json!([endpoint, endpoint]), json!([]));
    let [first, second] = read.endpoints.as_slice() else { panic!("{read:?}") };
    assert!(Arc::ptr_eq(first.place.as_ref().unwrap(), second.place.as_ref().unwrap()));
}

#[test]
fn endpoints_become_one_slice_for_each_subset_and_family() {
    let object = json!({
        "metadata": {"name": "web", "namespace": "shop", "annotations": {"svcmesh.dev/weights": "10.0.0.1=3"}},
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.1", "nodeName": "n", "targetRef": {"kind": "Pod", "name": "web-1"}}, {"ip": "fd00::1"}],
                "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}],
            },
            {"addresses": [{"ip": "10.0.0.3"}]},
        ],
    });
    let object = serde_json::from_value(object).unwrap();
    let slices = read_endpoints(&object, &rules(), &mut Interner::default()).unwrap().fact;
    let addresses: Vec<Vec<_>> = slices
        .iter()
        .map(|slice| slice.endpoints.iter().map(|e| (e.address.to_string(), e.ready)).collect())
        .collect();
    let expected = [
        [("10.0.0.1".to_string(), true), ("10.0.0.2".to_string(), false)].to_vec(),
        [("fd00::1".to_string(), true)].to_vec(),
        [("10.0.0.3".to_string(), true)].to_vec(),
    ];
    assert_eq!(addresses, expected);
    assert!(
        slices.iter().all(|slice| slice.from_endpoints && slice.weights.as_deref() == Some("10.0.0.1=3"))
    );
    assert_eq!(slices[0].endpoints[0].pod.as_deref(), Some("web-1"));
}

#[test]
fn slices_of_names_are_admitted_and_serve_nobody() {
    let object = json!({
        "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "x"}}, "addressType": "FQDN",
        "endpoints": [{"addresses": ["db.example.com"]}],
    });
    let object = serde_json::from_value(object).unwrap();
    let valid = read_endpoint_slice(&object, &rules(), &mut Interner::default()).unwrap();
    assert_eq!((valid.fact.len(), valid.warnings.len()), (0, 1));
}
