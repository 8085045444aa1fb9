//! Objects that an API server of 1.33 admits or refuses, and the fields that it names (`pkg/apis/core/validation`,
//! `pkg/apis/discovery/validation`, after defaults are filled in).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::*;

/// What is said of an object: that it is admitted (no fields), or the fields of its mistakes, in their order.
fn fields<T>(read: Result<Valid<T>, Invalid>) -> Vec<String> {
    read.err()
        .map(|invalid| invalid.mistakes.into_iter().map(|mistake| mistake.field).collect())
        .unwrap_or_default()
}

/// `change` laid over `object`; `null` stays, as it would in a file.
fn over(object: &mut Value, change: Value) {
    match (object, change) {
        (Value::Object(object), Value::Object(change)) => {
            for (key, value) in change {
                over(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, change) => *object = change,
    }
}

#[track_caller]
fn service(change: Value, expected: &[&str]) {
    let mut object = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    over(&mut object, change.clone());
    let object = serde_json::from_value(object).unwrap();
    assert_eq!(fields(read_service(&object, &Rules::default())), expected, "{change}");
}

#[track_caller]
fn spec(change: Value, expected: &[&str]) {
    service(json!({"spec": change}), expected);
}

#[track_caller]
fn metadata(change: Value, expected: &[&str]) {
    service(json!({"metadata": change}), expected);
}

#[track_caller]
fn slice(change: Value, expected: &[&str]) {
    let mut object = json!({
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}],
    });
    over(&mut object, change.clone());
    let object = serde_json::from_value(object).unwrap();
    let read = read_endpoint_slice(&object, &Rules::default(), &mut Interner::default());
    assert_eq!(fields(read), expected, "{change}");
}

#[track_caller]
fn endpoint(change: Value, expected: &[&str]) {
    let mut endpoint = json!({"addresses": ["10.0.0.1"]});
    over(&mut endpoint, change);
    slice(json!({"endpoints": [endpoint]}), expected);
}

#[track_caller]
fn endpoints(subset: Value, expected: &[&str]) {
    let object = serde_json::from_value(json!({"metadata": {"name": "web"}, "subsets": [subset]})).unwrap();
    assert_eq!(
        fields(read_endpoints(&object, &Rules::default(), &mut Interner::default())),
        expected,
        "{subset}"
    );
}

#[test]
fn families_and_their_policy_go_with_the_type_and_the_addresses() {
    for policy in ["SingleStack", "PreferDualStack", "RequireDualStack"] {
        spec(json!({"ipFamilyPolicy": policy}), &[]);
    }
    spec(json!({"ipFamilyPolicy": "DualStack"}), &["spec.ipFamilyPolicy"]);
    spec(json!({"ipFamilyPolicy": ""}), &["spec.ipFamilyPolicy"]);
    spec(json!({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}), &[]);
    spec(json!({"ipFamilies": ["IPv6", "IPv4"]}), &[]); // with a warning
    spec(json!({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "SingleStack"}), &["spec.ipFamilyPolicy"]);
    spec(json!({"ipFamilies": ["IPv5"]}), &["spec.ipFamilies[0]"]);
    spec(json!({"ipFamilies": ["ipv4"]}), &["spec.ipFamilies[0]"]);
    spec(
        json!({"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "RequireDualStack"}),
        &["spec.ipFamilies[1]"],
    );
    spec(json!({"clusterIP": "fd00::1", "ipFamilies": ["IPv4"]}), &["spec.clusterIPs[0]"]);
    spec(
        json!({"clusterIP": "None", "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}),
        &[],
    );
    let name = json!({"type": "ExternalName", "externalName": "a.b"});
    for (field, value) in [("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))] {
        let mut named = name.clone();
        named[field] = value;
        spec(named, &[&["spec.", field].concat()]);
    }
    let mut named = name;
    over(&mut named, json!({"ipFamilies": [], "ipFamilyPolicy": null}));
    spec(named, &[]);
}

#[test]
fn a_family_that_the_cluster_has_not_is_refused_where_it_is_asked_for() {
    let rules = Rules { service_cidrs: ["10.96.0.0/12".parse().unwrap()].into(), ..Rules::default() };
    let refused = |spec: Value| {
        let mut object = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
        over(&mut object, json!({"spec": spec}));
        fields(read_service(&serde_json::from_value(object).unwrap(), &rules))
    };
    assert_eq!(refused(json!({"ipFamilies": ["IPv6"]})), ["spec.ipFamilies[0]"]);
    assert_eq!(refused(json!({"ipFamilyPolicy": "RequireDualStack"})), ["spec.ipFamilyPolicy"]);
    assert_eq!(refused(json!({"ipFamilyPolicy": "PreferDualStack"})), [""; 0]);
    assert_eq!(refused(json!({"clusterIP": "fd00::1"})), ["spec.clusterIPs[0]"]);
    assert_eq!(refused(json!({"clusterIP": "None", "ipFamilies": ["IPv6"]})), [""; 0], "nobody's pods");
}

#[test]
fn traffic_policies_have_their_places() {
    for kind in ["NodePort", "LoadBalancer"] {
        for policy in ["Cluster", "Local", ""] {
            spec(json!({"type": kind, "externalTrafficPolicy": policy}), &[]);
        }
        spec(json!({"type": kind, "externalTrafficPolicy": "local"}), &["spec.externalTrafficPolicy"]);
    }
    spec(json!({"externalTrafficPolicy": "Local"}), &["spec.externalTrafficPolicy"]);
    spec(json!({"externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.1"]}), &[]);
    spec(json!({"clusterIP": "None", "externalTrafficPolicy": "Cluster"}), &["spec.externalTrafficPolicy"]);
    spec(
        json!({"type": "ExternalName", "externalName": "a.b", "externalTrafficPolicy": "Cluster"}),
        &["spec.externalTrafficPolicy"],
    );
    spec(json!({"internalTrafficPolicy": "Local"}), &[]);
    spec(json!({"internalTrafficPolicy": ""}), &["spec.internalTrafficPolicy"]);
    spec(json!({"internalTrafficPolicy": "Nearest"}), &["spec.internalTrafficPolicy"]);
    spec(json!({"type": "ExternalName", "externalName": "a.b", "internalTrafficPolicy": "Cluster"}), &[]);
    spec(json!({"trafficDistribution": "PreferClose"}), &[]);
    spec(json!({"trafficDistribution": "preferclose"}), &["spec.trafficDistribution"]);
}

#[test]
fn a_port_for_the_health_of_nodes_is_a_local_load_balancers() {
    let local = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"});
    let with = |port: Value| {
        let mut object = local.clone();
        object["healthCheckNodePort"] = port;
        object
    };
    spec(with(json!(31_000)), &[]);
    spec(with(json!(0)), &[]);
    spec(with(json!(null)), &[]);
    spec(with(json!(-1)), &["spec.healthCheckNodePort"]);
    spec(with(json!(65_536)), &["spec.healthCheckNodePort"]);
    spec(json!({"healthCheckNodePort": 31_000}), &["spec.healthCheckNodePort"]);
    spec(json!({"type": "LoadBalancer", "healthCheckNodePort": 31_000}), &["spec.healthCheckNodePort"]);
    let of_nodes =
        json!({"type": "NodePort", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31_000});
    spec(of_nodes, &["spec.healthCheckNodePort"]);
}

#[test]
fn what_limits_a_load_balancer_is_a_load_balancers() {
    let balanced = |field: &str, value: Value| {
        let mut object = json!({"type": "LoadBalancer"});
        object[field] = value;
        object
    };
    spec(
        balanced(
            "loadBalancerSourceRanges",
            json!(["10.0.0.0/8", " fd00::/8 ", "010.0.0.0/08", "10.1.2.3/8"]),
        ),
        &[],
    );
    spec(
        balanced("loadBalancerSourceRanges", json!(["10.0.0.0/8", "10.0.0.1"])),
        &["spec.loadBalancerSourceRanges[1]"],
    );
    spec(balanced("loadBalancerSourceRanges", json!([null])), &["spec.loadBalancerSourceRanges[0]"]);
    spec(json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}), &["spec.loadBalancerSourceRanges"]);
    spec(json!({"loadBalancerSourceRanges": []}), &[]);
    spec(balanced("allocateLoadBalancerNodePorts", json!(false)), &[]);
    spec(json!({"allocateLoadBalancerNodePorts": true}), &["spec.allocateLoadBalancerNodePorts"]);
    spec(balanced("loadBalancerClass", json!("service.k8s.aws/nlb")), &[]);
    spec(balanced("loadBalancerClass", json!("a/b/c")), &["spec.loadBalancerClass"]);
    spec(json!({"type": "NodePort", "loadBalancerClass": "a/b"}), &["spec.loadBalancerClass"]);

    let key = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let at = &*["metadata.annotations[", key, "]"].concat();
    let annotated = |kind: &str, ranges: &str| json!({"metadata": {"annotations": {key: ranges}}, "spec": {"type": kind}});
    service(annotated("LoadBalancer", "10.0.0.0/8, 192.168.0.0/16"), &[]);
    service(annotated("LoadBalancer", "  "), &[]);
    service(annotated("LoadBalancer", "10.0.0.0/8,"), &[at]);
    service(annotated("LoadBalancer", "everybody"), &[at]);
    service(annotated("ClusterIP", "10.0.0.0/8"), &[at]);
}

#[test]
fn labels_selectors_and_annotations_have_qualified_keys() {
    metadata(json!({"labels": {"app.kubernetes.io/name": "web", "tier": ""}}), &[]);
    metadata(json!({"labels": {"a b": "c"}}), &["metadata.labels[a b]"]);
    metadata(json!({"labels": {"/a": "c"}}), &["metadata.labels[/a]"]);
    metadata(json!({"labels": {"app": "two words"}}), &["metadata.labels[app]"]);
    metadata(json!({"labels": {"app": "a".repeat(64)}}), &["metadata.labels[app]"]);
    metadata(json!({"annotations": {"Example.COM/Key": "any value, at all\n"}}), &[]);
    metadata(json!({"annotations": {"a b": ""}}), &["metadata.annotations[a b]"]);
    metadata(json!({"annotations": {"a": "b".repeat(256 << 10)}}), &["metadata.annotations"]);
    metadata(json!({"annotations": {"a": "b".repeat((256 << 10) - 1)}}), &[]);
    spec(json!({"selector": {"app": "web"}}), &[]);
    spec(json!({"selector": {"app": "-web"}}), &["spec.selector[app]"]);
    spec(json!({"selector": {"a_": "b"}}), &["spec.selector[a_]"]);
    spec(json!({"selector": {"app": null}}), &[]);
}

#[test]
fn null_in_a_map_is_an_empty_text() {
    metadata(json!({"annotations": {"a": null}, "labels": {"b": null}}), &[]);
    let object = json!({"metadata": {"name": "web", "annotations": {"svcmesh.dev/timeout": null}}, "spec": {"ports": [{"port": 1}]}});
    let refused = read_service(&serde_json::from_value(object).unwrap(), &Rules::default()).unwrap_err();
    assert!(refused.to_string().contains(r#"Invalid value: "": must be a duration"#), "{refused}");
}

#[test]
fn null_in_a_list_is_an_empty_item() {
    spec(json!({"ports": [null]}), &["spec.ports[0].port"]);
    spec(json!({"externalIPs": [null]}), &["spec.externalIPs[0]"]);
    spec(json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", null]}), &["spec.clusterIPs[1]"]);
    slice(json!({"endpoints": [null]}), &["endpoints[0].addresses"]);
    slice(json!({"endpoints": [{"addresses": [null]}]}), &["endpoints[0].addresses[0]"]);
    slice(json!({"ports": [null]}), &[]);
    endpoints(json!({"addresses": [null]}), &["subsets[0].addresses[0].ip"]);
    endpoints(json!(null), &["subsets[0]"]);
}

#[test]
fn names_may_be_generated() {
    metadata(json!({"generateName": "web-"}), &[]);
    metadata(json!({"generateName": "web"}), &[]);
    for bad in ["Web-", "-", "a--_", &"a".repeat(80)] {
        let read = |change: Value| {
            let mut object = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
            over(&mut object, json!({"metadata": change}));
            fields(read_service(&serde_json::from_value(object).unwrap(), &Rules::default()))
        };
        let fields = read(json!({"generateName": bad}));
        assert!(
            !fields.is_empty() && fields.iter().all(|field| field == "metadata.generateName"),
            "{bad}: {fields:?}"
        );
    }
}

#[test]
fn owners_and_finalizers_are_whole() {
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1"});
    metadata(
        json!({"ownerReferences": [owner], "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}),
        &[],
    );
    metadata(
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]}),
        &["metadata.ownerReferences[0].uid"],
    );
    metadata(json!({"finalizers": ["a b"]}), &["metadata.finalizers"]);
}

#[test]
fn what_is_dropped_or_reset_refuses_nothing() {
    spec(
        json!({"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}),
        &[],
    );
    spec(json!({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}), &[]);
    spec(json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}}), &[]);
    let at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    spec(
        json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86_401}}}),
        &[at],
    );
    let ingress =
        json!([{"ip": "nowhere"}, {"hostname": "A_B"}, {"ip": "192.0.2.1", "ipMode": "Other"}, null]);
    service(json!({"status": {"loadBalancer": {"ingress": ingress}}}), &[]);
}

#[test]
fn ports_are_the_servers_own() {
    spec(json!({"type": "LoadBalancer", "ports": [{"port": 10_250}]}), &[]);
    spec(json!({"ports": [{"port": 80.0, "targetPort": 8080.0, "protocol": ""}]}), &[]);
    spec(json!({"ports": [{"port": 8e1}]}), &[]);
    spec(json!({"ports": [{"port": 80, "targetPort": ""}]}), &[]);
    spec(json!({"ports": [{"port": 80, "targetPort": "8080"}]}), &["spec.ports[0].targetPort"]);
    spec(
        json!({"ports": [{"port": 80, "appProtocol": ""}]}),
        &["spec.ports[0].appProtocol", "spec.ports[0].appProtocol"],
    );
    spec(json!({"ports": [{"port": 80, "protocol": "tcp"}]}), &["spec.ports[0].protocol"]);
    let several = json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "a", "protocol": "UDP"}]});
    spec(several, &["spec.ports[1].name"]);
    for wrong in
        [json!(80.5), json!("80"), json!(99_999_999_999_u64), json!(-99_999_999_999_i64), json!(true)]
    {
        let port = serde_json::from_value::<object::ServicePort>(json!({"port": wrong}));
        assert!(port.is_err(), "{port:?}");
    }
}

#[test]
fn ports_of_slices_are_admitted_as_the_server_takes_them() {
    for port in
        [json!({}), json!({"port": null}), json!({"port": 0}), json!({"port": 70_000}), json!({"port": -1})]
    {
        slice(json!({"ports": [port]}), &[]);
    }
    slice(json!({"ports": [{"port": 80, "protocol": ""}]}), &["ports[0].protocol"]);
    slice(json!({"ports": [{"port": 80, "protocol": "tcp"}]}), &["ports[0].protocol"]);
    slice(json!({"ports": [{"port": 80, "protocol": null}]}), &[]);
    slice(json!({"ports": [{"port": 80}, {"port": 81}]}), &["ports[1].name"]);
    slice(json!({"ports": [{"port": 80, "name": ""}, {"port": 81, "name": null}]}), &["ports[1].name"]);
    slice(json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}), &[]);
    slice(json!({"ports": [{"port": 80, "name": "Web"}]}), &["ports[0].name"]);
    slice(json!({"ports": [{"port": 80, "name": "a-name-of-more-than-fifteen-bytes"}]}), &[]);
}

#[test]
fn endpoints_of_slices_are_held_to_their_rules() {
    endpoint(json!({"hostname": "web-0"}), &[]);
    endpoint(json!({"hostname": null}), &[]);
    endpoint(json!({"hostname": ""}), &["endpoints[0].hostname"]);
    endpoint(json!({"hostname": "web.0"}), &["endpoints[0].hostname"]);
    endpoint(json!({"nodeName": ""}), &["endpoints[0].nodeName"]);
    endpoint(json!({"deprecatedTopology": {"example.com/rack": "1"}}), &[]);
    endpoint(json!({"deprecatedTopology": {"a b": "1"}}), &["endpoints[0].deprecatedTopology[a b]"]);
    endpoint(json!({"deprecatedTopology": {"a": "one two"}}), &["endpoints[0].deprecatedTopology[a]"]);
    let many: serde_json::Map<_, _> =
        (0..17).map(|key| (["k", &key.to_string()].concat(), json!(""))).collect();
    endpoint(json!({"deprecatedTopology": many}), &["endpoints[0].deprecatedTopology"]);
    endpoint(json!({"addresses": ["10.0.0.1", "10.0.0.2"]}), &[]); // with a warning
    endpoint(json!({"addresses": ["10.0.0.1", "10.0.0.256"]}), &["endpoints[0].addresses[1]"]);
    endpoint(json!({"addresses": ["010.0.0.1"]}), &[]);
    endpoint(json!({"addresses": ["::ffff:10.0.0.1"]}), &[]);
    endpoint(json!({"addresses": ["0127.0.0.1"]}), &["endpoints[0].addresses[0]"]);
    slice(
        json!({"addressType": "IPv6", "endpoints": [{"addresses": ["::ffff:10.0.0.1"]}]}),
        &["endpoints[0].addresses[0]"],
    );
    for name in ["db.example.com", "db.example.com."] {
        slice(json!({"addressType": "FQDN", "endpoints": [{"addresses": [name]}]}), &[]);
    }
    for name in ["db", "db.example.com..", "Db.example.com"] {
        slice(
            json!({"addressType": "FQDN", "endpoints": [{"addresses": [name]}]}),
            &["endpoints[0].addresses[0]"],
        );
    }
    slice(json!({"metadata": {"labels": {"a b": "c"}}}), &["metadata.labels[a b]"]);
}

#[test]
fn addresses_with_leading_zeros_are_admitted_with_a_warning() {
    spec(json!({"clusterIP": "010.96.000.07", "externalIPs": ["192.000.2.1"]}), &[]);
    endpoints(json!({"addresses": [{"ip": "010.0.0.1"}]}), &[]);
    endpoints(json!({"addresses": [{"ip": "127.000.0.1"}]}), &["subsets[0].addresses[0].ip"]);
    let object =
        json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "010.96.0.7", "ports": [{"port": 80}]}});
    let valid = read_service(&serde_json::from_value(object).unwrap(), &Rules::default()).unwrap();
    assert_eq!(valid.fact.cluster_ips, ["10.96.0.7".parse::<IpAddr>().unwrap()]);
    let warning = r#"spec.clusterIPs[0]: "010.96.0.7" is a non-standard IP address, read as 10.96.0.7: newer API servers refuse it"#;
    assert_eq!(valid.warnings[0].to_string(), warning);
}

#[test]
fn endpoints_objects_are_held_to_their_rules() {
    endpoints(
        json!({"addresses": [{"ip": "10.0.0.1", "hostname": ""}], "ports": [{"port": 80, "protocol": ""}]}),
        &[],
    );
    endpoints(
        json!({"addresses": [{"ip": "10.0.0.1", "nodeName": ""}]}),
        &["subsets[0].addresses[0].nodeName"],
    );
    endpoints(json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [{}]}), &["subsets[0].ports[0].port"]);
    endpoints(
        json!({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 70_000}]}),
        &["subsets[0].ports[0].port"],
    );
    let twice = json!([{"name": "a", "port": 80}, {"name": "a", "port": 80}]);
    endpoints(json!({"addresses": [{"ip": "10.0.0.1"}], "ports": twice}), &[]);
}

#[test]
fn checks_of_aws_may_take_as_long_as_their_interval_where_the_load_balancer_is_not_classic() {
    const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";
    let timeout = &*[PREFIX, "healthcheck-timeout"].concat();
    let annotations = json!({timeout: "10", [PREFIX, "healthcheck-interval"].concat(): "10"});
    let of = |spec: Value| json!({"metadata": {"annotations": annotations}, "spec": spec});
    let at = &*["metadata.annotations[", timeout, "]"].concat();
    service(of(json!({"type": "LoadBalancer"})), &[at]);
    service(of(json!({"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb"})), &[]);
}

#[test]
fn two_names_of_one_annotation_say_the_same() {
    let both = |mode: &str| json!({"annotations": {"service.kubernetes.io/topology-mode": mode, "service.kubernetes.io/topology-aware-hints": "auto"}});
    metadata(both("auto"), &[]);
    metadata(both("disabled"), &["metadata.annotations[service.kubernetes.io/topology-mode]"]);
}
