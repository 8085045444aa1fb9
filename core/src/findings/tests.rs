use alloc::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::inventory::{Change, Inventory, Settings, SliceKey};
use crate::service::{Interner, Rules, read_endpoint_slice, read_service};
use crate::table::Source;

/// The findings in these objects, as `CODE namespace/name message`.
fn found(services: Value, slices: Value, pods: Option<Value>) -> Vec<String> {
    let services: Vec<Service> = serde_json::from_value(services).unwrap();
    let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
    let pods: Option<Vec<Pod>> = pods.map(|pods| serde_json::from_value(pods).unwrap());
    let (mut changes, mut interner) = (Vec::new(), Interner::default());
    for service in &services {
        let service = read_service(service, &Rules::default()).unwrap().fact;
        changes.push(Change::Service(service.name.clone(), Some(Arc::new(service))));
    }
    for slice in &slices {
        for slice in read_endpoint_slice(slice, &Rules::default(), &mut interner).unwrap().fact {
            let namespace = slice.service.namespace.clone();
            let key = SliceKey { namespace, name: slice.name.clone(), part: 0, from_endpoints: false };
            changes.push(Change::Slice(key, Some(Arc::new(slice))));
        }
    }
    let mut inventory =
        Inventory::new(Settings { sources: [Source::Manifests].into(), ..Settings::default() });
    inventory.apply(Source::Manifests, changes);
    let table = inventory.table();
    let objects = Objects { services: &services, slices: &slices, pods: pods.as_deref(), table: &table };
    let shown =
        |finding: Finding| format!("{} {} {}", finding.code.as_str(), finding.service, finding.message);
    find(&objects).into_iter().map(shown).collect()
}

fn service(spec: Value) -> Value {
    json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": spec })
}

fn pod(name: &str, labels: Value, port: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "shop", "labels": labels },
        "spec": { "containers": [{ "ports": [{ "name": port, "containerPort": 8080 }] }] },
    })
}

/// A slice of `web` with an endpoint for each: ready or not.
fn slice(ready: &[bool]) -> Value {
    let endpoint = |(index, ready): (usize, &bool)| {
        json!({
            "addresses": [format!("10.0.0.{}", index + 1)], "conditions": { "ready": ready },
            "targetRef": { "kind": "Pod", "name": format!("web-{index}") },
        })
    };
    json!({
        "metadata": { "name": "web-1", "namespace": "shop", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4", "ports": [{ "name": "", "port": 8080 }],
        "endpoints": ready.iter().enumerate().map(endpoint).collect::<Vec<_>>(),
    })
}

const PORTS: fn() -> Value = || json!([{ "port": 80 }]);

#[test]
fn a_sound_service_has_no_finding() {
    let web =
        service(json!({ "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] }));
    let pods = json!([pod("web-0", json!({ "app": "web", "tier": "front" }), "http")]);
    assert_eq!(found(json!([web]), json!([slice(&[true])]), Some(pods)), [] as [&str; 0]);
    let external = service(json!({ "type": "ExternalName", "externalName": "api.pay.example" }));
    assert_eq!(found(json!([external]), json!([]), Some(json!([]))), [] as [&str; 0]);
}

#[test]
fn a_selector_that_matches_no_pod_names_the_nearest_labels() {
    let web = |selector: Value| json!([service(json!({ "selector": selector, "ports": PORTS() }))]);
    let pods = json!([
        pod("a", json!({ "app": "webs", "tier": "front" }), "http"),
        pod("b", json!({ "app": "webs", "tier": "front" }), "http"),
        pod("c", json!({ "app": "other" }), "http"),
    ]);
    assert_eq!(
        found(web(json!({ "app": "web" })), json!([]), Some(pods.clone())),
        ["SVC001 shop/web selector app=web matches no pod; nearest: app=webs (2 pods)"]
    );
    assert_eq!(
        found(web(json!({ "app": "webs", "tier": "back" })), json!([]), Some(pods.clone())),
        ["SVC001 shop/web selector app=webs,tier=back matches no pod; nearest: tier=front (2 pods)"]
    );
    assert_eq!(
        found(web(json!({ "run": "x" })), json!([]), Some(pods)),
        ["SVC001 shop/web selector run=x matches no pod"]
    );
    let done = json!([{ "metadata": { "name": "a", "namespace": "shop", "labels": { "app": "web" } }, "status": { "phase": "Succeeded" } }]);
    assert_eq!(found(web(json!({ "app": "web" })), json!([]), Some(done)).len(), 1);
}

#[test]
fn pods_that_cannot_be_seen_are_not_checked() {
    let web = service(json!({ "selector": { "app": "web" }, "ports": PORTS() }));
    assert_eq!(found(json!([web]), json!([]), None), ["SVC004 shop/web there is no endpoint"]);
}

#[test]
fn a_named_target_port_must_be_in_all_pods() {
    let web =
        service(json!({ "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] }));
    let names = ["web-0", "web-1", "web-2", "web-3", "web-4"];
    let pods: Vec<Value> = names
        .iter()
        .map(|name| pod(name, json!({ "app": "web" }), if *name == "web-0" { "http" } else { "web" }))
        .collect();
    assert_eq!(
        found(json!([web]), json!([slice(&[true])]), Some(pods.into())),
        ["SVC002 shop/web targetPort http is missing in 4 of 5 pods: web-1, web-2, web-3, 1 more"]
    );
}

#[test]
fn ready_endpoints_are_counted() {
    let web = || json!([service(json!({ "ports": PORTS() }))]);
    let one = |ready: &[bool]| found(web(), json!([slice(ready)]), None);
    assert_eq!(one(&[false, false]), ["SVC004 shop/web none of 2 endpoints is ready"]);
    assert_eq!(one(&[true, false, false]), ["SVC005 shop/web 1 of 3 endpoints ready"]);
    assert_eq!(one(&[true, false]), [] as [&str; 0]);
    let headless = service(json!({ "clusterIP": "None", "ports": PORTS() }));
    assert_eq!(
        found(json!([headless]), json!([]), None),
        ["SVC017 shop/web headless, and without endpoints"]
    );
    let sticky = service(json!({ "sessionAffinity": "ClientIP", "ports": PORTS() }));
    assert_eq!(
        found(json!([sticky]), json!([slice(&[true])]), None),
        ["SVC014 shop/web sessionAffinity ClientIP with one endpoint"]
    );
}

#[test]
fn external_names_that_are_no_names_elsewhere_are_found() {
    let one = |name: &str| {
        let service = service(json!({ "type": "ExternalName", "externalName": name }));
        found(json!([service]), json!([]), None)
    };
    assert_eq!(one("10.1.2.3"), ["SVC010 shop/web externalName 10.1.2.3 looks like an IPv4 address"]);
    assert_eq!(one("127.0.0.1"), ["SVC012 shop/web externalName 127.0.0.1 is the client itself"]);
    assert_eq!(one("db.localhost"), ["SVC012 shop/web externalName db.localhost is the client itself"]);
    assert_eq!(one("10.example"), [] as [&str; 0]);
}

#[test]
fn slices_of_nobody_and_addresses_of_two_pods_are_found() {
    assert_eq!(
        found(json!([]), json!([slice(&[true])]), None),
        ["SVC019 shop/web EndpointSlice web-1 belongs to a Service that does not exist"]
    );
    let mut stale = slice(&[true]);
    stale["metadata"]["name"] = json!("web-2");
    stale["endpoints"][0]["targetRef"]["name"] = json!("old-7");
    let web = service(json!({ "ports": PORTS() }));
    assert_eq!(
        found(json!([web]), json!([slice(&[true]), stale]), None),
        ["SVC018 shop/web 10.0.0.1 is the address of old-7 and of web-0"]
    );
}

#[test]
fn the_worst_come_first() {
    let sticky = service(json!({ "sessionAffinity": "ClientIP", "ports": PORTS() }));
    let mut zoo = service(json!({ "ports": PORTS() }));
    zoo["metadata"]["name"] = json!("zoo");
    let codes = found(json!([sticky, zoo]), json!([slice(&[true])]), None);
    assert_eq!(codes.iter().map(|line| &line[..6]).collect::<Vec<_>>(), ["SVC004", "SVC014"]);
}

#[test]
fn codes_are_in_their_order_and_say_why_and_what_to_do() {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(codes.is_sorted() && codes.iter().all(|code| code.len() == 6 && code.starts_with("SVC")));
    assert!(Code::ALL.iter().all(|code| code.why().ends_with('.') && code.fix().ends_with('.')));
}
