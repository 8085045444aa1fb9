//! Properties of validation: it never panics, and it admits what is good.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn service_in(value: Value) -> Result<Valid<Service>, Invalid> {
    read_service(&serde_json::from_value(value).unwrap(), &Rules::default())
}

/// Texts of every sort: those that mean something to validation, and any others.
fn text() -> impl Strategy<Value = Value> {
    const KNOWN: [&str; 18] = [
        "",
        "web",
        "None",
        "ClusterIP",
        "NodePort",
        "ExternalName",
        "LoadBalancer",
        "ClientIP",
        "10.0.0.1",
        "fd00::1",
        "TCP",
        "SCTP",
        "IPv4",
        "IPv6",
        "FQDN",
        "127.0.0.1",
        "Local",
        "a/b/c",
    ];
    prop_oneof![
        proptest::sample::select(&KNOWN).prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        Just(Value::Null)
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i32>().prop_map(Value::from), (0..70_000).prop_map(Value::from), Just(Value::Null)]
}

prop_compose! {
    fn any_port()(name in text(), port in number(), protocol in text(), target in prop_oneof![text(), number()], node in number(),
        app in text()) -> Value {
        json!({"name": name, "port": port, "protocol": protocol, "targetPort": target, "nodePort": node, "appProtocol": app})
    }
}

prop_compose! {
    fn any_service()(name in text(), kind in text(), ip in text(), ips in prop::collection::vec(text(), 0..4),
        ports in prop::collection::vec(any_port(), 0..4), affinity in text(), seconds in number(), external in text()) -> Value {
        let texts = |list: Vec<Value>| list.into_iter().filter(Value::is_string).collect::<Vec<_>>();
        let ips = texts(ips);
        json!({
            "metadata": {"name": name},
            "spec": {
                "type": kind, "clusterIP": ip, "clusterIPs": ips, "ipFamilies": ips, "externalIPs": ips, "ports": ports,
                "sessionAffinity": affinity, "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}},
                "externalName": external,
            },
        })
    }
}

prop_compose! {
    /// Services that no API server would refuse.
    fn good_service()(name in "[a-z]([-a-z0-9]{0,20}[a-z0-9])?", kind in 0..3_usize,
        ports in prop::collection::btree_map(1..=u16::MAX, (any::<bool>(), "[a-z][a-z0-9]{0,14}"), 1..5)) -> Value {
        let port = |(position, (port, (udp, target))): (usize, (u16, (bool, _)))| {
            json!({"name": format!("p{position}"), "port": port, "protocol": if udp { "UDP" } else { "TCP" }, "targetPort": target})
        };
        let ports: Vec<Value> = ports.into_iter().filter(|(port, _)| *port != 10_250).enumerate().map(port).collect();
        let kind = ["ClusterIP", "NodePort", "LoadBalancer"][kind];
        json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": ports}})
    }
}

proptest! {
    #[test]
    fn any_service_is_read_or_refused_with_reasons(object in any_service()) {
        match service_in(object) {
            Ok(valid) => prop_assert!(valid.fact.ports.iter().all(|port| port.port != 0)),
            Err(invalid) => {
                let told: BTreeSet<_> = invalid.mistakes.iter().map(ToString::to_string).collect();
                prop_assert_eq!(told.len(), invalid.mistakes.len(), "each told once, at least one: {}", invalid);
                prop_assert!(!told.is_empty());
            }
        }
    }

    #[test]
    fn any_slice_is_read_or_refused(family in text(), addresses in prop::collection::vec(text(), 0..3), name in text(), port in any_port()) {
        let addresses: Vec<Value> = addresses.into_iter().filter(Value::is_string).collect();
        let object = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}}, "addressType": family,
            "endpoints": [{"addresses": addresses, "hostname": name, "nodeName": name}], "ports": [port],
        });
        let object = serde_json::from_value(object).unwrap();
        if let Ok(valid) = read_endpoint_slice(&object, &Rules::default(), &mut Interner::default()) {
            prop_assert!(valid.fact.iter().all(|slice| slice.endpoints.len() == 1));
        }
    }

    #[test]
    fn a_good_service_is_admitted(object in good_service()) {
        prop_assume!(object["spec"]["ports"] != json!([]));
        let read = service_in(object.clone());
        prop_assert!(read.is_ok(), "{object}: {read:?}");
    }
}
